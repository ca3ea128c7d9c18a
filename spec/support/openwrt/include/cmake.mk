# Stands in for OpenWrt's cmake.mk in specs.
CMAKE_OPTIONS :=
