// Tests that mount for real need /dev/fuse; where it lacks they are skipped, and say so.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#define STOKEFS_SKIP_WITHOUT_FUSE()                                      \
  do {                                                                   \
    int const fuse_device = open("/dev/fuse", O_RDWR | O_CLOEXEC);       \
    if (fuse_device < 0) GTEST_SKIP() << "no /dev/fuse on this machine"; \
    close(fuse_device);                                                  \
  } while (false)
