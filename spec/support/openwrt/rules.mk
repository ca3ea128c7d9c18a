# Stands in for OpenWrt's rules.mk in specs: what the feed's Makefiles use of it. The
# target is this machine. FEED_OUT is the folder for what is built.

INCLUDE_DIR    := $(TOPDIR)/include
BUILD_DIR      := $(FEED_OUT)/build
STAGING_DIR    :=
TARGET_CFLAGS  := -O2
TARGET_LDFLAGS :=
FPIC           := -fPIC

INSTALL_DIR  := install -d -m0755
INSTALL_BIN  := install -m0755
INSTALL_DATA := install -m0644
INSTALL_CONF := install -m0600
CP           := cp -fpR
