/* version: the one place of the version. Makefile and rockspecs read this line. */
#ifndef UK_VERSION_H
#define UK_VERSION_H

#define UK_VERSION "0.1.0"

#endif
