# Stands in for OpenWrt's package.mk in specs. `make info` prints a line for each package:
# its name and its fields. `make packages` builds, and installs each into FEED_OUT/its name.
# As there, the parts of a package are expanded first and then read as a makefile.

PKG_BUILD_DIR   ?= $(BUILD_DIR)/$(PKG_NAME)-$(PKG_VERSION)
PKG_INSTALL_DIR := $(FEED_OUT)/install
MAKE_VARS       :=
MAKE_FLAGS      :=
FIELDS          := SECTION CATEGORY TITLE DEPENDS PKGARCH

define newline


endef

define BuildPackage
$(foreach field,$(FIELDS),$(field):=$(newline))
$(Package/$(1))

info: info-$(1)
info-$(1): LINE:=$(1)|$$(SECTION)|$$(CATEGORY)|$$(TITLE)|$$(DEPENDS)|$$(PKGARCH)
info-$(1):
	@echo '$$(LINE)'

ifndef BUILT
BUILT := yes
build:
	$(Build/Compile)
endif

packages: pack-$(1)
pack-$(1): build
	$(INSTALL_DIR) $(FEED_OUT)/$(1)
	$(call Package/$(1)/install,$(FEED_OUT)/$(1))
endef
