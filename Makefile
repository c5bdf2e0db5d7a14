# upstash-kafka. First the targets that you call; below, how they work.
#
#   make            builds the libraries and the Lua modules for one Lua (LUA=lua5.4)
#   make run        installs what is missing, builds, starts a server, runs the quickstart against it
#   make test       installs what is missing, builds, tests on Lua 5.4 and LuaJIT, or on LUA if you set it
#   make env        prints exports that put this checkout first on Lua's paths: eval "$(make -s env)"
#   make deps       installs what run and test need; make deps-run only what run needs
#   make lint       directions and circles, warnings of two compilers, luacheck, exports, docs, format
#   make analyze    static analysis by cppcheck and gcc -fanalyzer
#   make map        prints the rooms, their sizes, the arrows between them and between files, and circles
#   make figures    renders the figures of docs/figures from their text files (needs Graphviz)
#   make build-all  builds the modules for every Lua, the C tests and the benchmarks
#   make c-tests    builds the C tests into build/spec; each can be run alone
#   make sanitize-c the C tests under ASan+UBSan, TSan and valgrind; sanitize-nginx 50 reloads under ASan
#   make fuzz       libFuzzer on what strangers send: JSON, requests, responses, batches (FUZZ_SECONDS: .ci/fuzz)
#   make soak       the long tests: everything under sanitizers and valgrind, all specs on the rocks, Kafka 3.9.1
#   make chaos      kills, cuts, failing system calls and power cuts beside producers and consumers (CHAOS_SECONDS: .ci/chaos)
#   make bench      builds and measures
#   make test-browser pages in Debian's chromium call a server
#   make test-kafka the contract suite and the specs in spec/kafka on a real Kafka (KAFKA_VERSION: .ci/kafka)
#   make test-rocks installs both rocks into a scratch tree and tests them without the checkout
#   make kafka      installs what is missing and starts Apache Kafka on 127.0.0.1 (KAFKA_VERSION, KAFKA_BROKERS: .ci/kafka)
#   make kafka-stop stops every Kafka that make kafka started
#   make install    into DESTDIR and PREFIX, or the INST_* folders that LuaRocks passes
#   make clean      removes build/
#   make help       prints this
#
# LUA is lua5.4, lua5.3, lua5.1, luajit, or another name or path of one of these interpreters.

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.SUFFIXES:

LUA_GIVEN := $(filter-out undefined default file,$(origin LUA))
LUA ?= lua5.4
LUA_NAME := $(filter lua5.1 lua5.3 lua5.4 luajit,$(notdir $(LUA)))
ifeq ($(LUA_NAME),)
LUA_NAME := $(shell $(LUA) -e 'print(jit and "luajit" or "lua" .. _VERSION:match("%d%.%d"))' 2>&1)
ifeq ($(filter lua5.1 lua5.2 lua5.3 lua5.4 luajit,$(LUA_NAME)),)
$(error LUA=$(LUA) is no Lua interpreter: $(LUA_NAME))
endif
endif
LUA_VERSION := $(if $(filter luajit,$(LUA_NAME)),5.1,$(LUA_NAME:lua%=%))

VERSION = $(shell sed -n 's/^.define UK_VERSION "\(.*\)"/\1/p' csrc/common/version.h)

BUILD ?= build
PREFIX ?= /usr/local
INST_LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
INST_LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
INST_BINDIR ?= $(PREFIX)/bin
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

# Variables that a caller may set. LuaRocks passes CFLAGS, LIBFLAG, LUA_INCDIR, <LIBRARY>_INCDIR and
# <LIBRARY>_LIBDIR. .ci/run sets UK_STRICT, so that it tests exactly the build that both compilers
# accept without a warning.
UK_STRICT ?=
STRICT_CFLAGS := -O2 -g -Werror
ifdef UK_STRICT
CFLAGS := $(STRICT_CFLAGS)
endif
CFLAGS ?= -O2 -g
LIBFLAG ?= -shared
INSTALL ?= install

# Our flags have their own names, so that a caller's CFLAGS does not replace them.
UK_WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion
UK_SANITIZE ?=
UK_CFLAGS = -std=c11 -D_GNU_SOURCE -Icsrc -fPIC -fvisibility=hidden -pthread $(UK_WARNINGS) $(UK_HARDENING) $(UK_SANITIZE)

# Hardening, whatever CFLAGS a caller passes. The checks of libc's calls need an optimizing compiler,
# and would hide from the sanitizers what these look for; level 3 needs gcc 12 or clang 9, and glibc
# 2.35. A caller's own level wins.
FORTIFY_LEVEL := $(if $(shell $(CC) -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Werror -include stdio.h \
  -x c -E /dev/null >/dev/null 2>&1 && echo yes),3,2)
fortify = $(if $(UK_SANITIZE)$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,$(if \
  $(filter-out -O0,$(filter -O%,$(CFLAGS))),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY_LEVEL)))
UK_HARDENING = -fstack-protector-strong $(fortify)
UK_LINK_HARDENING := -Wl,-z,relro -Wl,-z,now
UK_LUA_CFLAGS = $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(shell pkg-config --cflags $(LUA_NAME)))
include_of = $(if $($(1)_INCDIR),-I$($(1)_INCDIR))
library_of = $(if $($(1)_LIBDIR),-L$($(1)_LIBDIR)) $(2)
UK_LIBRARY_CFLAGS := $(sort $(foreach library,CURL MICROHTTPD LMDB XXHASH ZLIB RDKAFKA CRYPT GNUTLS,$(call include_of,$(library))))
UK_CLIENT_LIBS := $(call library_of,CURL,-lcurl) $(call library_of,ZLIB,-lz) -pthread -lm
UK_SERVER_LIBS := $(call library_of,MICROHTTPD,-lmicrohttpd) $(call library_of,LMDB,-llmdb) \
  $(call library_of,XXHASH,-lxxhash) $(call library_of,ZLIB,-lz) $(call library_of,RDKAFKA,-lrdkafka) \
  $(call library_of,CRYPT,-lcrypt) $(call library_of,GNUTLS,-lgnutls) -pthread -lm
flags = $(UK_CFLAGS) $(UK_LIBRARY_CFLAGS) $(CPPFLAGS) $(CFLAGS)
compile = $(CC) $(flags) -MMD -MP

# Each library is built from one folder of csrc and its subfolders.
rooms_of = $(shell find csrc/$(1) -type d | LC_ALL=C sort)
objects_of = $(patsubst csrc/%.c,$(2)/%.o,$(foreach room,$(call rooms_of,$(1)),$(sort $(wildcard $(room)/*.c))))
COMMON := $(BUILD)/libcommon.a
CLIENT := $(BUILD)/libclient.a
SERVER := $(BUILD)/libserver.a
BINDING := $(BUILD)/$(LUA_NAME)/libbinding.a
MODULES := $(BUILD)/$(LUA_NAME)/upstash/kafka

LUA_FILES := $(sort $(wildcard lua/upstash/kafka/*.lua lua/upstash/kafka/*/*.lua))
SERVER_LUA_FILES := lua/upstash/kafka/launcher.lua
CLIENT_LUA_FILES := $(filter-out $(SERVER_LUA_FILES),$(LUA_FILES))

.PHONY: build build-client build-server run test env deps deps-run build-all lint map figures look look-lua sanitize-c sanitize-nginx analyze fuzz fuzz-programs soak chaos bench test-rocks test-kafka test-browser clean help
.PHONY: kafka kafka-stop install install-client install-server c-tests bench-modules bench-programs FORCE

build: build-client build-server
build-client: $(MODULES)/core.so
build-server: $(MODULES)/server.so

# The static libraries do not depend on Lua and are built once; the binding is built once per Lua.

# They depend on their folders too, so that a deleted source leaves its archive.

$(COMMON): $(call objects_of,common,$(BUILD)) $(call rooms_of,common)
$(CLIENT): $(call objects_of,client,$(BUILD)) $(call rooms_of,client)
$(SERVER): $(call objects_of,server,$(BUILD)) $(call rooms_of,server)
$(BINDING): $(call objects_of,binding,$(BUILD)/$(LUA_NAME)) $(call rooms_of,binding)

# Built next to their place and then moved into it, so that a running process keeps the old module.

%.a:
	@mkdir -p $(@D)
	@rm -f $@.new
	$(AR) rcs $@.new $(filter %.o,$^)
	@mv $@.new $@

# The linker takes from the archives only what luaopen_ needs, so core.so contains no part of the
# server. Both modules stay in memory once loaded, because their threads may outlive the Lua state.

$(MODULES)/core.so: $(BINDING) $(CLIENT) $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(LIBFLAG) $(UK_LINK_HARDENING) $(UK_SANITIZE) -o $@.new -Wl,-u,luaopen_upstash_kafka_core -Wl,-z,nodelete $^ \
	  $(LDFLAGS) $(UK_CLIENT_LIBS)
	@mv $@.new $@

$(MODULES)/server.so: $(BINDING) $(SERVER) $(COMMON)
	@mkdir -p $(@D)
	$(CC) $(LIBFLAG) $(UK_LINK_HARDENING) $(UK_SANITIZE) -o $@.new -Wl,-u,luaopen_upstash_kafka_server -Wl,-z,nodelete $^ \
	  $(LDFLAGS) $(UK_SERVER_LIBS)
	@mv $@.new $@

$(BUILD)/$(LUA_NAME)/%.o: csrc/%.c $(BUILD)/$(LUA_NAME)/flags
	@mkdir -p $(@D)
	$(compile) $(UK_LUA_CFLAGS) -c $< -o $@

$(BUILD)/%.o: csrc/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(compile) -c $< -o $@

# The flags of the last build; an object that was compiled with other flags is compiled again.
# .ci/progress only counts objects, and ignores the flags.

FLAGS_CHECK ?= FORCE

$(BUILD)/flags: $(FLAGS_CHECK)
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(compile)' ] || echo '$(compile)' > $@

$(BUILD)/$(LUA_NAME)/flags: $(FLAGS_CHECK)
	@mkdir -p $(@D)
	@test -n '$(UK_LUA_CFLAGS)' || { echo "no headers of $(LUA_NAME): make deps LUA=$(LUA)" >&2; exit 1; }
	@[ "$$(cat $@ 2>/dev/null)" = '$(compile) $(UK_LUA_CFLAGS)' ] || echo '$(compile) $(UK_LUA_CFLAGS)' > $@

# C tests: one program per <noun>_test.c below spec/c, linked with the files there that are not
# tests. A test that includes fault.h gets a failing allocator; one that includes lua.h gets Lua and
# the binding.

C_TEST_ROOMS := $(shell find spec/c -type d | LC_ALL=C sort)
C_TEST_SOURCES := $(foreach room,$(C_TEST_ROOMS),$(sort $(wildcard $(room)/*.c)))
C_TESTS := $(filter %_test.c,$(C_TEST_SOURCES))
programs_of = $(patsubst %.c,$(BUILD)/spec/%,$(notdir $(1)))
test_objects_of = $(patsubst %.c,$(BUILD)/%.o,$(1))
tests_with = $(shell grep -ls $(1) /dev/null $(C_TESTS))
C_TEST_PROGRAMS := $(call programs_of,$(C_TESTS))
C_TEST_HELPERS := $(BUILD)/spec/libhelpers.a
C_TEST_INCLUDES := $(C_TEST_ROOMS:%=-I%)
C_TESTS_WITH_FAULT := $(call programs_of,$(call tests_with,'"fault\.h"'))
C_TESTS_WITH_LUA := $(call tests_with,'<lua\.h>')
UK_WRAP := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,--wrap=strdup,--wrap=strndup

c-tests: $(C_TEST_PROGRAMS) $(patsubst spec/shim/%.c,$(BUILD)/spec/%.so,$(wildcard spec/shim/*.c))

$(C_TEST_HELPERS): $(call test_objects_of,$(filter-out $(C_TESTS),$(C_TEST_SOURCES))) $(C_TEST_ROOMS)
$(foreach test,$(C_TESTS),$(eval $(call programs_of,$(test)): $(call test_objects_of,$(test))))
$(C_TESTS_WITH_FAULT): UK_TEST_LDFLAGS += $(UK_WRAP)
$(call programs_of,$(C_TESTS_WITH_LUA)): $(BINDING)
$(call programs_of,$(C_TESTS_WITH_LUA)): UK_TEST_LIBS += $(shell pkg-config --libs $(LUA_NAME))
$(call test_objects_of,$(C_TESTS_WITH_LUA)): UK_TEST_CFLAGS += $(UK_LUA_CFLAGS)
$(call test_objects_of,$(C_TESTS_WITH_LUA)): $(BUILD)/spec/lua

# The Lua that the last of these tests were built for.
$(BUILD)/spec/lua: $(FLAGS_CHECK)
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = '$(LUA_NAME)' ] || echo '$(LUA_NAME)' > $@

$(BUILD)/spec/c/%.o: spec/c/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(compile) $(C_TEST_INCLUDES) $(UK_TEST_CFLAGS) -c $< -o $@

$(BUILD)/spec/%_test: $(C_TEST_HELPERS) $(SERVER) $(CLIENT) $(COMMON)
	$(CC) $(UK_SANITIZE) -o $@ $(UK_TEST_LDFLAGS) -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS) \
	  -Wl,--as-needed $(UK_SERVER_LIBS) $(UK_CLIENT_LIBS) $(UK_TEST_LIBS)

# A library that specs preload into other programs (spec/shim), without sanitizers.
$(BUILD)/spec/%.so: spec/shim/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(filter-out $(UK_SANITIZE),$(compile)) $(LIBFLAG) $< -o $@

.SECONDARY:

# The targets that you call. Packages come first, in a separate make, because only then can the rest
# be found.

PARALLEL = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
AGAIN = .ci/progress $(MAKE) --no-print-directory $(PARALLEL) -s
TEST_LUAS := $(if $(LUA_GIVEN),$(LUA),lua5.4 luajit)

run: deps-run
	@$(AGAIN) build
	@.ci/run-quickstart $(LUA)

deps-run:
	@.ci/deps run $(LUA)

deps:
	@.ci/deps test $(TEST_LUAS)

test: deps
	@$(AGAIN) LUA=$(firstword $(TEST_LUAS)) build c-tests
	@for lua in $(wordlist 2,9,$(TEST_LUAS)); do $(AGAIN) LUA=$$lua build || exit 1; done
	@.ci/test $(C_TEST_PROGRAMS) $(TEST_LUAS:%=--lua %)

env:
	@$(AGAIN) build >&2
	@.ci/env $(LUA)

# Benchmarks: programs, and two modules for each Lua.

BENCH_MODULES := bench_time by_hand
BENCH_PROGRAMS := $(filter-out bench $(BENCH_MODULES),$(patsubst bench/%.c,%,$(sort $(wildcard bench/*.c))))

bench-modules: $(BENCH_MODULES:%=$(BUILD)/bench/$(LUA_NAME)/%.so)
bench-programs: $(BENCH_PROGRAMS:%=$(BUILD)/bench/%)

$(BUILD)/bench/$(LUA_NAME)/%.so: bench/%.c $(BUILD)/$(LUA_NAME)/flags
	@mkdir -p $(@D)
	$(compile) -fvisibility=default $(UK_LUA_CFLAGS) $(LIBFLAG) $< -o $@ $(LDFLAGS) -Wl,--as-needed $(UK_CLIENT_LIBS)

$(BUILD)/bench/%: bench/%.c bench/bench.c bench/bench.h $(COMMON) $(BUILD)/flags
	@mkdir -p $(@D)
	$(compile) $< bench/bench.c -o $@ $(COMMON) $(LDFLAGS) -Wl,--as-needed $(UK_CLIENT_LIBS) $(UK_SERVER_LIBS)

bench:
	@.ci/deps bench $(TEST_LUAS)
	@for lua in $(TEST_LUAS); do $(AGAIN) LUA=$$lua build bench-modules bench-programs || exit 1; done
	@lua5.4 bench/run.lua $(TEST_LUAS)
	@.ci/deps kafka && .ci/bench-kafka $(firstword $(TEST_LUAS))

test-kafka: deps
	@.ci/deps kafka
	@$(AGAIN) LUA=lua5.4 build
	@.ci/test-kafka

test-browser:
	@.ci/deps browser $(firstword $(TEST_LUAS))
	@$(AGAIN) LUA=$(firstword $(TEST_LUAS)) build
	@TEST_SPECS=spec/browser TEST_OUT=build/test/browser .ci/test --lua $(firstword $(TEST_LUAS))

test-rocks:
	@.ci/deps rocks lua5.4 lua5.1 luajit
	@.ci/test-rocks

# Kafka for tests and measurements. make passes variables on its command line to the script in the
# environment.

kafka:
	@.ci/deps kafka
	@.ci/kafka start

kafka-stop:
	@.ci/kafka stop-all

# The tests again under sanitizers and valgrind (.ci/sanitize), each in its own build folder. Only
# programs with threads are built for TSan.

ASAN := BUILD=build/asan CFLAGS='-O1 -g' UK_SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined'
TSAN := BUILD=build/tsan CFLAGS='-O1 -g' UK_SANITIZE='-fsanitize=thread'
SANITIZE_LUA := $(firstword $(TEST_LUAS))
VALGRIND_LUA := $(firstword $(filter-out %luajit,$(TEST_LUAS)))
C_TEST_NAMES := $(patsubst %.c,%,$(notdir $(C_TESTS)))

sanitize-c:
	@.ci/deps sanitize $(SANITIZE_LUA)
	@$(AGAIN) LUA=$(SANITIZE_LUA) c-tests
	@$(AGAIN) $(ASAN) LUA=$(SANITIZE_LUA) c-tests
	@$(AGAIN) $(TSAN) LUA=$(SANITIZE_LUA) $$(.ci/sanitize threaded $(C_TEST_NAMES))
	@.ci/sanitize c $(C_TEST_NAMES)

sanitize-nginx:
	@.ci/deps sanitize luajit
	@$(AGAIN) $(ASAN) LUA=luajit build
	@.ci/sanitize nginx

# Harnesses of libFuzzer (fuzz), which needs clang, under ASan and UBSan. One that includes lua.h
# gets Lua.

FUZZ := BUILD=build/fuzz CC=clang CFLAGS='-O1 -g' \
  UK_SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined'
FUZZERS := $(patsubst fuzz/%.c,%,$(sort $(wildcard fuzz/*_fuzz.c)))
FUZZ_LUA := lua5.4

fuzz-programs: $(FUZZERS:%=$(BUILD)/fuzz/%)

$(BUILD)/fuzz/%_fuzz: fuzz/%_fuzz.c fuzz/fuzz.h $(C_TEST_HELPERS) $(SERVER) $(CLIENT) $(COMMON)
	@mkdir -p $(@D)
	$(compile) $(C_TEST_INCLUDES) -Ifuzz $$(pkg-config --cflags $(FUZZ_LUA)) -fsanitize=fuzzer $< -o $@ \
	  -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS) -Wl,--as-needed \
	  $(UK_SERVER_LIBS) $(UK_CLIENT_LIBS) $$(pkg-config --libs $(FUZZ_LUA))

fuzz:
	@.ci/deps fuzz $(FUZZ_LUA)
	@$(AGAIN) $(FUZZ) fuzz-programs
	@.ci/fuzz $(FUZZERS)

# The long tests, which need not run for every change.

soak: test
	@.ci/deps sanitize,rocks,kafka lua5.4 lua5.1 $(TEST_LUAS)
	@$(AGAIN) $(ASAN) LUA=$(SANITIZE_LUA) c-tests
	@for lua in $(TEST_LUAS); do $(AGAIN) $(ASAN) LUA=$$lua build || exit 1; done
	@$(AGAIN) $(TSAN) LUA=$(SANITIZE_LUA) $$(SANITIZE_ALL=1 .ci/sanitize threaded $(C_TEST_NAMES))
	@.ci/soak "$(C_TEST_NAMES)" "$(TEST_LUAS)" "$(VALGRIND_LUA)"

# What is lost, doubled or reordered when servers, clients, connections and disks fail (spec/chaos).

chaos:
	@.ci/deps test,chaos,kafka $(TEST_LUAS)
	@$(AGAIN) LUA=$(firstword $(TEST_LUAS)) build c-tests
	@for lua in $(wordlist 2,9,$(TEST_LUAS)); do $(AGAIN) LUA=$$lua build || exit 1; done
	@.ci/chaos $(TEST_LUAS)

figures:
	@.ci/figures render

docs/errors.md: csrc/common/error.h .ci/errors_page.lua
	lua5.4 .ci/errors_page.lua > $@

# Both compilers check everything, for every Lua; a warning is an error. clang generates no code.
# gcc builds in its own folder, except under UK_STRICT, where one build serves all steps of .ci/run.

LINT_LUAS := lua5.4 lua5.3 lua5.1 luajit
LINT_BUILD := $(if $(UK_STRICT),$(BUILD),build/lint)
LINT_GCC = $(if $(UK_STRICT),,BUILD=$(LINT_BUILD) CC=gcc CFLAGS='$(STRICT_CFLAGS)')
LINT_CFLAGS := $(if $(UK_STRICT),$(CFLAGS),$(STRICT_CFLAGS))
SOURCES = $(shell find csrc spec/c spec/shim bench fuzz -name '*.c' | LC_ALL=C sort)
LUA_SOURCES = $(shell grep -ls '<lua\.h>\|"lua\.h"\|binding/' /dev/null $(SOURCES))
LOOK = xargs -P $(JOBS) -n 12 clang $(flags) -Werror -fsyntax-only $(C_TEST_INCLUDES) -Ifuzz

build-all:
	@.ci/deps test $(LINT_LUAS)
	@$(AGAIN) LUA=lua5.4 build c-tests bench-modules bench-programs
	@for lua in $(filter-out lua5.4,$(LINT_LUAS)); do $(AGAIN) LUA=$$lua build bench-modules || exit 1; done

lint:
	@.ci/deps lint $(LINT_LUAS)
	@$(MAKE) --no-print-directory -s $(LINT_GCC) build-all
	@$(MAKE) --no-print-directory -s CFLAGS='$(LINT_CFLAGS)' look
	@for lua in $(LINT_LUAS); do $(MAKE) --no-print-directory -s CFLAGS='$(LINT_CFLAGS)' LUA=$$lua look-lua || exit 1; done
	@BUILD=$(LINT_BUILD) .ci/lint

# Sources without a Lua header are compiled once for all Luas.

look:
	@printf '%s\n' $(filter-out $(LUA_SOURCES),$(SOURCES)) | $(LOOK)

look-lua:
	@printf '%s\n' $(LUA_SOURCES) | $(LOOK) $(UK_LUA_CFLAGS)

analyze:
	@.ci/deps analyze lua5.4
	@.ci/analyze

map:
	@lua5.4 .ci/map.lua

# The command runs on the Lua that it was installed for.

install: install-client install-server

# The paths may contain blanks.
define install_lua
@for file in $(patsubst lua/%,%,$(1)); do \
  $(INSTALL) -d "$(DESTDIR)$(INST_LUADIR)/$$(dirname $$file)" && \
  $(INSTALL) -m 644 lua/$$file "$(DESTDIR)$(INST_LUADIR)/$$file" || exit 1; \
done
endef

install-client: build-client
	$(INSTALL) -d "$(DESTDIR)$(INST_LIBDIR)/upstash/kafka" "$(DESTDIR)$(INST_BINDIR)"
	$(INSTALL) -m 755 $(MODULES)/core.so "$(DESTDIR)$(INST_LIBDIR)/upstash/kafka/"
	$(call install_lua,$(CLIENT_LUA_FILES))
	sed "s|^installed_for=.*|installed_for='$(LUA)'|" bin/upstash-kafka > $(BUILD)/upstash-kafka
	$(INSTALL) -m 755 $(BUILD)/upstash-kafka "$(DESTDIR)$(INST_BINDIR)/"

install-server: build-server
	$(INSTALL) -d "$(DESTDIR)$(INST_LIBDIR)/upstash/kafka"
	$(INSTALL) -m 755 $(MODULES)/server.so "$(DESTDIR)$(INST_LIBDIR)/upstash/kafka/"
	$(call install_lua,$(SERVER_LUA_FILES))

# Otherwise a broker would keep running without its folder.
clean:
	@[ ! -d build/kafka ] || .ci/kafka stop-all
	rm -rf build

help:
	@echo "upstash-kafka $(VERSION)"
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

-include $(shell find $(addprefix $(BUILD)/,bench client common server spec $(LUA_NAME)) -name '*.d' 2>/dev/null)
