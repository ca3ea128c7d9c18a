# directmethods -- `make help` lists the targets. Nothing here is generated.
#
# Variables for the command line: MODE=release|asan|tsan selects flags and the
# build folder, SPEC=FILE one spec, PREFIX= where `make install` goes, PAHO_DIR=
# and the like where a library is, SYSROOT= the root of a cross build's target.
# PAHO=no leaves paho out: devices then use the engine "uv". NATS=no leaves the bus
# between hubs out. SIZE=1 builds for little flash.

PKG_CONFIG ?= pkg-config
MODE       ?= release
PAHO       ?= yes
# the bus between hubs needs libnats; it is built if that is there
NATS       ?= $(if $(NATS_DIR)$(NATS_INCDIR)$(shell $(PKG_CONFIG) --exists libnats 2>/dev/null && echo 1),yes,no)
SIZE       ?=
PREFIX     ?= /usr/local
LUA        ?= lua5.4
LUA_VERSION = 5.4
ifeq ($(origin CC),default)
CC          = gcc
endif
CLANG      ?= clang
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
CPPCHECK   ?= cppcheck
LUACHECK   ?= luacheck
LUAROCKS   ?= luarocks
INSTALL    ?= install
JOBS       ?= $(shell nproc 2>/dev/null || echo 2)

ifeq ($(filter $(MODE),release asan tsan),)
$(error MODE is $(MODE): must be release, asan or tsan)
endif
NATS := $(NATS)
ifeq ($(filter $(NATS),yes no),)
$(error NATS is $(NATS): must be yes or no)
endif
ifeq ($(filter $(PAHO),yes no),)
$(error PAHO is $(PAHO): must be yes or no)
endif
ifdef V
Q =
else
Q = @
endif

# Without paho, or small, is another build beside the usual one.
B   = build/$(MODE)$(if $(filter no,$(PAHO)),-uv)$(if $(SIZE),-small)
OUT = $(B)/directmethods

# -- Sources: what goes into which shared object -------------------------------
# base and proto go into each, but for HTTP parsing, which the hub alone needs.
# A pattern takes what is there; `make symbols` finds what is missing in a list.

HTTP_PROTO = http_% llhttp_%
proto_all := $(wildcard csrc/proto/*.c)

BASE  := $(wildcard csrc/base/*.c)
PROTO := $(filter-out $(HTTP_PROTO:%=csrc/proto/%),$(proto_all))
HTTP  := $(filter $(HTTP_PROTO:%=csrc/proto/%),$(proto_all))
# what hubs of one name say to each other: pure, and needs no library
CLUSTER_PURE := $(patsubst %,csrc/cluster/%.c,replay subject table wire)

PAHO_NET = $(if $(filter no,$(PAHO)),mqtt_no_paho*,mqtt_paho* mqtt_waker*)
core_NET = loop* clock* settle* mailbox* process* inherit* notify* mqtt_client* $(PAHO_NET) \
           mqtt_uv* lookup* resolve* socket* stream* tls* tunnel* websocket*
core_LUA = core bind* l_loop* l_clock* l_log* l_exec* l_notify* l_device* l_fleet* l_sas* l_json* \
           l_contract*

http_core_NET = loop* clock* settle* mailbox* lookup* resolve* socket* \
                http_client* http_multi* http_request* http_settings*
http_core_LUA = http_core bind* l_http*

hub_core_NET = loop* clock* settle* mailbox* thread* socket* stream* tls* http_server* \
               http_caller* mqtt_server* mqtt_peer* websocket*
hub_core_LUA = hub_core bind* l_hub* l_store l_store_sqlite

cluster_core_NET = loop* clock* settle* mailbox* thread*
cluster_core_LUA = cluster_core bind* l_listener l_store l_store_postgres \
                   $(if $(filter yes,$(NATS)),l_cluster,l_no_cluster)

core_SRC := $(BASE) $(PROTO) \
  $(wildcard $(core_NET:%=csrc/net/%.c) $(core_LUA:%=csrc/lua/%.c))
http_core_SRC := $(BASE) $(PROTO) \
  $(wildcard $(http_core_NET:%=csrc/net/%.c) $(http_core_LUA:%=csrc/lua/%.c))
hub_core_SRC := $(BASE) $(PROTO) $(HTTP) \
  $(filter-out csrc/store/postgres%,$(wildcard csrc/store/*.c)) $(wildcard csrc/hub/*.c \
  $(hub_core_NET:%=csrc/net/%.c) $(hub_core_LUA:%=csrc/lua/%.c))
cluster_core_SRC := $(BASE) $(filter-out csrc/store/sqlite%,$(wildcard csrc/store/*.c)) \
  $(if $(filter yes,$(NATS)),$(wildcard csrc/cluster/*.c)) \
  $(wildcard $(cluster_core_NET:%=csrc/net/%.c) $(cluster_core_LUA:%=csrc/lua/%.c))

# CLUSTER=yes: build cluster_core, which needs libpq; by default if it is there
CLUSTER ?= $(if $(PQ_DIR)$(shell $(PKG_CONFIG) --exists libpq 2>/dev/null && echo 1),yes,no)
MODULES = core http_core hub_core $(if $(filter yes,$(CLUSTER)),cluster_core)
SO      = $(MODULES:%=$(OUT)/%.so)

# -- Libraries ------------------------------------------------------------------
# PAHO_DIR=/x looks for paho in /x/include and /x/lib, first; so do the others of
# LIBRARIES. LuaRocks names the two folders of each: PAHO_INCDIR and PAHO_LIBDIR.

LIBRARIES   = LUA LIBUV PAHO CURL OPENSSL SQLITE PQ NATS
# where compiler and linker look by themselves: they must not look there first
SYSTEM_DIRS := /usr/include /usr/lib /usr/lib64 /lib /usr/lib/$(shell $(CC) -print-multiarch 2>/dev/null)
folder      = $(abspath $(or $(addsuffix /$(3),$($(1)_DIR)),$($(1)_$(2))))
folders     = $(wildcard $(filter-out $(SYSTEM_DIRS),$(sort $(foreach l,$(LIBRARIES),$(call folder,$(l),$(1),$(2))))))
FOUND_INC  := $(addprefix -isystem ,$(call folders,INCDIR,include))
FOUND_LIB  := $(foreach d,$(call folders,LIBDIR,lib),-L$(d) -Wl,-rpath,$(d))

pkg = $(shell $(PKG_CONFIG) $(1) $(2) 2>/dev/null)

LUA_CFLAGS ?= $(or $(if $(LUA_DIR)$(LUA_INCDIR),-isystem $(call folder,LUA,INCDIR,include)),\
  $(patsubst -I%,-isystem %,$(call pkg,--cflags,lua$(LUA_VERSION))),\
  $(patsubst -I%,-isystem %,$(call pkg,--cflags,lua-$(LUA_VERSION))),\
  -isystem $(SYSROOT)/usr/include/lua$(LUA_VERSION))
LUA_LIBS ?= $(or $(call pkg,--libs,lua$(LUA_VERSION)),-llua$(LUA_VERSION))
LUA_CFLAGS := $(LUA_CFLAGS)

# llhttp is a library or C sources. LLHTTP_DIR is a folder with either: a prefix, what
# llhttp's own archive unpacks to, or the folder of the sources, whose header may be in
# LLHTTP_INCDIR. Otherwise pkg-config is asked, then Debian 12's folders are looked at.
# LLHTTP_HINT is a LLHTTP_DIR that need not hold llhttp: LuaRocks always names one.
llhttp_source  = $(firstword $(wildcard $(addsuffix /llhttp.c,$(1) $(1)/src $(1)/share/llhttp)))
llhttp_header  = $(firstword $(wildcard $(addsuffix /llhttp.h,$(LLHTTP_INCDIR) $(1) $(1)/include \
  $(1)/share/include/llhttp $(1)/../include/llhttp)))
llhttp_library = $(firstword $(wildcard $(1)/lib/libllhttp.*))
llhttp_here    = $(if $(call llhttp_header,$(1)),$(or $(call llhttp_source,$(1)),$(call llhttp_library,$(1))))

LLHTTP_FOUND := $(or $(LLHTTP_DIR),$(if $(LLHTTP_HINT),$(if $(call llhttp_here,$(LLHTTP_HINT)),$(LLHTTP_HINT))))
ifneq ($(and $(LLHTTP_DIR),$(if $(call llhttp_here,$(LLHTTP_DIR)),,nothing)),)
$(error LLHTTP_DIR is $(LLHTTP_DIR): llhttp.h with llhttp.c or libllhttp is not there)
endif
ifeq ($(LLHTTP_FOUND)$(call pkg,--modversion,libllhttp),)
LLHTTP_FOUND := $(SYSROOT)/usr
endif
ifeq ($(LLHTTP_FOUND),)
LLHTTP_CFLAGS := $(call pkg,--cflags,libllhttp)
LLHTTP_LIBS   := $(call pkg,--libs,libllhttp)
else
LLHTTP_SOURCE := $(call llhttp_source,$(LLHTTP_FOUND))
LLHTTP_CFLAGS := $(addprefix -isystem ,$(filter-out /usr/include/,\
  $(dir $(call llhttp_header,$(LLHTTP_FOUND)) $(LLHTTP_SOURCE))))
LLHTTP_LIBS   := $(if $(LLHTTP_SOURCE),,$(foreach d,$(abspath $(LLHTTP_FOUND))/lib,-L$(d) -Wl,-rpath,$(d)) -lllhttp)
endif
ifneq ($(LLHTTP_LIBS),)
HTTP         := $(filter-out csrc/proto/llhttp_unit%,$(HTTP))
hub_core_SRC := $(filter-out csrc/proto/llhttp_unit%,$(hub_core_SRC))
endif

PQ_CFLAGS := $(patsubst -I%,-isystem %,$(call pkg,--cflags,libpq))

core_LIBS      = $(if $(filter yes,$(PAHO)),-lpaho-mqtt3as) -luv -lssl -lcrypto -lpthread
http_core_LIBS = -lcurl -luv -lssl -lcrypto
hub_core_LIBS  = -luv $(LLHTTP_LIBS) -lsqlite3 -lssl -lcrypto
cluster_core_LIBS = $(or $(call pkg,--libs,libpq),-lpq) $(if $(filter yes,$(NATS)),-lnats) -luv

# -- Flags ----------------------------------------------------------------------

OPT_release = $(if $(SIZE),-Os,-O2 -g)
OPT_asan    = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
              -fno-sanitize-recover=all
OPT_tsan    = -O1 -g -fno-omit-frame-pointer -fsanitize=thread

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
       -Wmissing-prototypes -Wwrite-strings -Wcast-qual -Wundef -Wformat=2 \
       -Wvla -Wimplicit-fallthrough
# the codecs, where a silent conversion is a bug
CONVERSION = csrc/proto/mqtt_% csrc/proto/http_% csrc/proto/text%
warn = $(WARN) $(if $(filter $(CONVERSION),$(1)),-Wconversion)

# the flags given, where the compiler or the linker takes all of them
comma := ,
takes = $(shell $(CC) $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo '$(1)')
links = $(shell echo 'int x;' | $(CC) -shared $(1) -o /dev/null -x c - 2>/dev/null && echo '$(1)')

# debug information must not name the folder of the machine that builds
PLACE   := $(call takes,-ffile-prefix-map=$(CURDIR)=.)

# Hardening, of releases alone: it would hide what the sanitizers look for.
CET     := $(call takes,-fcf-protection)
RELRO   := $(call links,-Wl$(comma)-z$(comma)relro -Wl$(comma)-z$(comma)now)
FORTIFY  = $(if $(filter-out -O0,$(filter -O%,$(CFLAGS))),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN_release      = -fstack-protector-strong $(CET) $(FORTIFY)
HARDEN_LINK_release = $(RELRO)
# what GNU's linkers and LLVM's take; Apple's has flags of its own
LD_GNU   = -Wl$(comma)--as-needed -Wl$(comma)--gc-sections
LD_APPLE = -Wl$(comma)-undefined$(comma)dynamic_lookup -Wl$(comma)-dead_strip
LD_FLAGS := $(or $(call links,$(LD_GNU)),$(LD_APPLE))

# What a router gets has no tables for stack traces, and no padding.
ifneq ($(SIZE)$(filter no,$(PAHO)),)
LEAN      := $(call takes,-fno-asynchronous-unwind-tables)
LEAN_LINK := $(call links,-Wl$(comma)-z$(comma)noseparate-code)
endif

STD     = -std=c11 -D_GNU_SOURCE -Werror=implicit-function-declaration \
          -Icsrc $(FOUND_INC) $(LUA_CFLAGS) $(LLHTTP_CFLAGS) $(PQ_CFLAGS)
CFLAGS ?= $(OPT_$(MODE))
COMPILE = $(STD) $(HARDEN_$(MODE)) $(LEAN) $(CFLAGS) $(CPPFLAGS) -fPIC \
          -fvisibility=hidden -ffunction-sections -fdata-sections $(PLACE) -MMD -MP
# the sanitized interpreter has these wrappers, which fail when a spec wants it
WRAP    = $(foreach f,malloc calloc realloc strdup,-Wl,--wrap=$(f))
LINK    = $(CFLAGS) $(if $(HOST),$(WRAP)) -shared $(FOUND_LIB) $(LD_FLAGS) \
          $(HARDEN_LINK_$(MODE)) $(LEAN_LINK) $(LDFLAGS)

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))

# -- Running Lua on the tree ----------------------------------------------------
# A sanitized module needs its runtime in the interpreter from the start, and
# there alone: such builds run in a host program linked with it.

ROOT     := $(CURDIR)
LUA_ENV   = LUA_PATH="$(ROOT)/lua/?.lua;$(ROOT)/lua/?/init.lua;$(ROOT)/?.lua;;" \
            LUA_CPATH="$(ROOT)/$(B)/?.so;;"
# gcc 12 misreads thread-local memory of libraries that are loaded late, and dies
SAN_asan  = ASAN_OPTIONS=detect_leaks=1:intercept_tls_get_addr=0 UBSAN_OPTIONS=print_stacktrace=1
SAN_tsan  = TSAN_OPTIONS=exitcode=66:second_deadlock_stack=1:suppressions=$(CURDIR)/build-aux/tsan.supp
# without random addresses: with some of them a process cannot map its shadow memory
START_tsan = setarch -R
# LUA tells the specs and examples which interpreter to start children with
HOST      = $(if $(filter release,$(MODE)),,$(B)/lua)
INTERPRETER = $(if $(HOST),$(ROOT)/$(HOST),$(LUA))
RUN       = $(SAN_$(MODE)) $(LUA_ENV) MODE=$(MODE) LUA=$(INTERPRETER) JOBS=$(JOBS) \
            $(START_$(MODE)) $(INTERPRETER)

# -- Build ----------------------------------------------------------------------

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:

all: $(SO) $(HOST) ## the shared objects, under build/$(MODE)
	@$(DEPS) --note run

modules: $(SO) ## the shared objects of MODULES alone: MODULES=core for a device

define module
$(OUT)/$(1).so: $(call obj,$($(1)_SRC))
	@mkdir -p $$(@D)
	@echo "  LD   $$@"
	$$(Q)$$(CC) -o $$@ $$^ $$(LINK) $$($(1)_LIBS)
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

# Say what is missing to build before a compiler does.
NEEDS = build/needed
empty :=
READY = $(NEEDS)/$(subst $(empty) $(empty),-,$(strip $(MODULES)))$(if $(filter no,$(PAHO)),-uv)
$(READY): build-aux/deps.sh
	@$(DEPS) --look $(MODULES)
	@mkdir -p $(@D)
	@touch $@

# With other flags than the last time everything is compiled again. They are read here,
# because a target's own flags count for what it needs, too.
FLAGS     = $(B)/flags
USED     := $(CC) $(COMPILE) $(LINK) $(NATS)
$(FLAGS): always | $(READY)
	@mkdir -p $(@D)
	@echo '$(USED)' | cmp -s - $@ || echo '$(USED)' >$@

$(B)/obj/%.o: %.c Makefile $(FLAGS) | $(READY)
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(COMPILE) $(call warn,$<) -c -o $@ $<

# the sanitized interpreter: it must be the first to load the runtime
$(B)/lua: build-aux/host.c Makefile | $(READY)
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) $(STD) $(CFLAGS) $(WARN) -o $@ $< -rdynamic $(LDFLAGS) $(LUA_LIBS)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

# -- Tests ----------------------------------------------------------------------

C_TESTS := $(patsubst spec/c/%.c,$(B)/c/%,$(wildcard spec/c/*_test.c))
TEST_LIB = $(call obj,$(BASE) $(PROTO) $(HTTP) $(CLUSTER_PURE))

# a test that main() does not run is an error
$(B)/obj/spec/c/%_test.o: STD += -Werror=unused-function
$(B)/c/alloc_test: LDFLAGS += $(WRAP)
# it has what it needs of libuv
CLOCK = csrc/net/clock.c
$(B)/c/clock_test: $(call obj,$(CLOCK))
$(B)/c/clock_test: LDFLAGS += -lm
$(B)/c/%: $(B)/obj/spec/c/%.o $(TEST_LIB)
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) -o $@ $^ $(CFLAGS) $(FOUND_LIB) $(LD_FLAGS) $(LDFLAGS) $(LLHTTP_LIBS) -lcrypto
.SECONDARY: $(patsubst $(B)/c/%,$(B)/obj/spec/c/%.o,$(C_TESTS))

# two Lua states in one process, for spec/device_process_spec.lua
TWO_STATES = $(B)/two_states
$(TWO_STATES): spec/c/two_states.c Makefile
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) $(STD) $(CFLAGS) $(WARN) -o $@ $< -rdynamic $(LDFLAGS) $(LUA_LIBS) -lpthread

# what spec/service_names_spec.lua preloads: it is no part of the sanitized code
OLD_CURL = $(B)/old_curl.so
$(OLD_CURL): spec/c/old_curl.c Makefile
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) $(STD) $(OPT_release) $(WARN) -fPIC -shared -o $@ $< $(LDFLAGS) \
	  -Wl,--no-as-needed -lcurl

# and what spec/device_queue_spec.lua preloads
PAHO_QUEUE = $(B)/paho_queue.so
$(PAHO_QUEUE): spec/c/paho_queue.c Makefile
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) $(STD) $(OPT_release) $(WARN) -fPIC -shared -o $@ $< $(LDFLAGS) \
	  -Wl,--no-as-needed -lpaho-mqtt3as

# a slow, waiting or failing disk, for specs and benches of the store
SLOW_FSYNC = $(B)/slow_fsync.so
$(SLOW_FSYNC): spec/c/slow_fsync.c Makefile
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) $(STD) $(OPT_release) $(WARN) -fPIC -shared -o $@ $< $(LDFLAGS)

# a bus between hubs of one process, for spec/remote_calls_spec.lua
BUS_DOUBLE = $(B)/bus_double.so
$(BUS_DOUBLE): spec/c/bus_double.c csrc/hub/bus.h csrc/base/span.h Makefile
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) $(STD) $(OPT_release) $(WARN) -fPIC -shared $(LUA_CFLAGS) -Icsrc -o $@ $< $(LDFLAGS)

LUA_FILES := $(shell find lua spec examples -name node_modules -prune -o -name '*.lua' -print 2>/dev/null)
INTEROP    = spec/interop/node_modules/.ready
BROWSER    = spec/inspector/node_modules/.ready
# what the inspector's page takes from npm: an archive of `make dist` has it
PAGE_SUMS  := build-aux/inspector.sha256
PAGE_FILES := $(shell sed 's/^[0-9a-f]*  //' $(PAGE_SUMS))
PAGE       = build/inspector-files
SPEC_NEEDS = $(SO) $(HOST) $(TWO_STATES) $(OLD_CURL) $(PAHO_QUEUE) $(SLOW_FSYNC) $(BUS_DOUBLE) $(PAGE) $(if $(wildcard spec/interop/package.json),$(INTEROP)) \
             $(BROWSER)

test-programs: $(SPEC_NEEDS) $(C_TESTS) ## what C tests and specs need, without running them

test-c: $(C_TESTS) ## the C tests of base and proto
	@$(RUN) spec/support/run.lua --none $(C_TESTS)

# With SPEC the specs named alone, without it C tests and all specs. More variables
# (SEED, ORDER, JUNIT) are in spec/support/run.lua.
test: test-deps ## C tests and specs; SPEC=spec/x_spec.lua runs one, SEED=1 a random order
	@$(MAKE) --no-print-directory -j$(JOBS) run-specs

ifdef SPEC
run-specs: $(SPEC_NEEDS)
	@$(RUN) spec/support/run.lua $(SPEC)
else
run-specs: $(SPEC_NEEDS) $(C_TESTS)
	@rm -f $(B)/tested
	@$(RUN) spec/support/run.lua $(C_TESTS)
	@touch $(B)/tested
endif

proof: $(SPEC_NEEDS) ## the long forms of specs, and one table of what came out
	@$(RUN) spec/support/proof.lua

# ROUNDS, LIMIT_S and SEED are in spec/cluster/proof.lua
cluster-proof: $(SO) ## hubs, NATS and PostgreSQL in network namespaces, and faults at random; ROUNDS=5 is short
	@$(DEPS) build cluster_core run test
	@spec/cluster/namespaces.sh env $(RUN) spec/cluster/proof.lua

asan: ## the tests under address and undefined behaviour sanitizers
	@$(MAKE) MODE=asan test
tsan: ## the tests under the thread sanitizer
	@$(MAKE) MODE=tsan test

gc: $(SPEC_NEEDS) ## the specs while Lua collects all the time, and in generations
	@GC=stress $(RUN) spec/support/run.lua $(SPEC)
	@GC=generational $(RUN) spec/support/run.lua $(SPEC)

# what `make check` asks for: a run of everything since the last change
$(B)/tested: $(SPEC_NEEDS) $(C_TESTS) $(LUA_FILES)
	@$(MAKE) --no-print-directory run-specs

$(INTEROP) $(BROWSER): spec/%/node_modules/.ready: spec/%/package.json spec/%/package-lock.json
	@echo "  NPM  spec/$*"
	$(Q)cd spec/$* && npm ci --no-audit --no-fund --silent
	@touch $@

# They are held against sums that the tree knows, whoever they come from.
INSPECTOR  = lua/directmethods/inspector
$(PAGE): $(INSPECTOR)/package-lock.json $(PAGE_SUMS) $(wildcard $(PAGE_FILES)) \
  $(if $(filter-out $(wildcard $(PAGE_FILES)),$(PAGE_FILES)),always)
	@sha256sum --check --status $(PAGE_SUMS) 2>/dev/null || { $(DEPS) page && echo "  NPM  $(INSPECTOR)" && \
	  (cd $(INSPECTOR) && npm ci --no-audit --no-fund --silent) && \
	  sha256sum --check --quiet $(PAGE_SUMS); }
	@mkdir -p $(@D)
	@touch $@

inspector-deps: $(PAGE) ## what the inspector's page takes from npm: htm and uPlot

interop-deps: $(if $(wildcard spec/interop/package.json),$(INTEROP)) ## the Node SDKs of spec/interop

demo: deps ## the main job: hub, device and calls in one script
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(RUN) examples/demo.lua

cluster-demo: ## several hubs with PostgreSQL and NATS: calls across them, one that is killed
	@$(DEPS_OF_CLUSTER) build cluster_core run cluster
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(RUN) examples/cluster/demo.lua

trial: all ## does what was built work? without the tools that tests need
	@. build-aux/demo_ends.sh && demo_ends env $(RUN) examples/demo.lua

bench: ## against Mosquitto, Azure's SDKs and bare C, medians of five
	@$(DEPS_OF_CLUSTER) build cluster_core run bench cluster
	@$(MAKE) --no-print-directory -j$(JOBS) all $(INTEROP) $(BENCHES) $(SLOW_FSYNC)
	@BENCH=$(BENCH) $(RUN) spec/bench/run.lua
	@BENCH=$(BENCH) $(RUN) spec/bench/clients.lua
	@$(RUN) spec/bench/fleet.lua
	@$(RUN) spec/bench/jobs.lua
	@BENCH=$(BENCH) $(RUN) spec/bench/devices.lua
	@$(RUN) spec/bench/store.lua
	@BENCH=$(BENCH) $(RUN) spec/bench/cluster.lua
	@BENCH=$(BENCH) $(RUN) spec/bench/siege.lua

BENCH   = $(B)/bench
BENCHES = $(patsubst spec/bench/%.c,$(BENCH)/%,$(wildcard spec/bench/*.c))
BENCH_LIBS = $(LLHTTP_LIBS) -lssl -lcrypto -lcurl -lpaho-mqtt3as
$(BENCH)/%: $(B)/obj/spec/bench/%.o $(TEST_LIB)
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)$(CC) -o $@ $^ $(CFLAGS) $(LD_FLAGS) $(LDFLAGS) $(BENCH_LIBS)

# -- What must be installed -----------------------------------------------------

DEPS = CC="$(CC)" LUA="$(LUA)" LUA_CFLAGS="$(FOUND_INC) $(LUA_CFLAGS)" PKG_CONFIG="$(PKG_CONFIG)" \
       LLHTTP_CFLAGS="$(LLHTTP_CFLAGS)" LLHTTP_LIBS="$(LLHTTP_LIBS)" PAHO=$(PAHO) NATS=$(NATS) sh build-aux/deps.sh
# for what is of no use without the bus
DEPS_OF_CLUSTER = $(patsubst NATS=%,NATS=yes,$(DEPS))
deps: ## install what is missing to build and run
	@$(DEPS) build run
dev-deps: ## install what is missing to build, run, test, check and make rocks
	@$(DEPS) build run test check rock
	@$(MAKE) --no-print-directory inspector-deps
test-deps:
	@$(DEPS) build run test
check-deps:
	@$(DEPS) build run test check

# -- Coverage and fuzzing -------------------------------------------------------

COV      = build/coverage
COV_OBJ := $(patsubst %.c,$(COV)/obj/%.o,$(BASE) $(PROTO) $(HTTP) $(CLUSTER_PURE))
$(COV)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)gcc $(STD) -O0 -g --coverage -MMD -MP -c -o $@ $<
$(COV)/c/alloc_test: LDFLAGS += $(WRAP)
$(COV)/c/clock_test: $(CLOCK:%.c=$(COV)/obj/%.o)
$(COV)/c/clock_test: LDFLAGS += $(CLOCK:%.c=$(COV)/obj/%.o) -lm
$(COV)/c/%: spec/c/%.c $(COV_OBJ)
	@mkdir -p $(@D)
	@echo "  LD   $@"
	$(Q)gcc $(STD) -O0 -g -c -o $@.o $<
	$(Q)gcc --coverage -o $@ $@.o $(COV_OBJ) $(LDFLAGS) $(LLHTTP_LIBS) -lcrypto

coverage: $(C_TESTS:$(B)/c/%=$(COV)/c/%) ## which lines of base, proto and the cluster's codec do the C tests run?
	@rm -f $(COV_OBJ:.o=.gcda)
	@for t in $^; do $$t >$(COV)/log || { cat $(COV)/log; exit 1; }; done
	@$(LUA) build-aux/coverage.lua spec/c/unreached.txt $(COV_OBJ:.o=.gcda)

# libFuzzer on the pure parsers, each from its corpus; what it finds is kept in
# build/fuzz/corpus, an input that fails in build/fuzz.
T         ?= 60
FUZZ       = build/fuzz
FUZZERS   := $(patsubst spec/fuzz/%.c,%,$(wildcard spec/fuzz/*.c))
FUZZ_SRC  := $(BASE) $(PROTO) $(HTTP) $(CLUSTER_PURE) csrc/net/websocket.c
FUZZ_FLAGS = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
$(FUZZ)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CLANG) $(STD) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
$(FUZZ)/parsers.a: $(FUZZ_SRC:%.c=$(FUZZ)/obj/%.o)
	@rm -f $@
	@$(AR) rcs $@ $^
$(FUZZ)/%: $(FUZZ)/obj/spec/fuzz/%.o $(FUZZ)/parsers.a
	@echo "  LD   $@"
	$(Q)$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $^ $(LLHTTP_LIBS) -lcrypto

# fuzz: run one of them for so many seconds
define fuzz
	@mkdir -p $(FUZZ)/corpus/$(1)
	@echo "  FUZZ $(1)"
	$(Q)$(FUZZ)/$(1) -max_total_time=$(2) -max_len=2048 -artifact_prefix=$(FUZZ)/$(1)- \
	  $(FUZZ)/corpus/$(1) spec/fuzz/corpus/$(1) >$(FUZZ)/$(1).log 2>&1 || \
	  { tail -n 40 $(FUZZ)/$(1).log; exit 1; }
endef
fuzz: ## libFuzzer on the parsers, T=60 seconds each
	@$(MAKE) --no-print-directory -j$(JOBS) $(FUZZERS:%=fuzz-%)
$(FUZZERS:%=fuzz-%): fuzz-%: $(FUZZ)/%
	$(call fuzz,$*,$(T))

# for `make check`: 10 seconds each, when one of them has changed
fuzz-check: $(FUZZERS:%=build/check/fuzz/%)
build/check/fuzz/%: $(FUZZ)/%
	$(call fuzz,$*,10)
	@mkdir -p $(@D)
	@touch $@
.SECONDARY: $(COV_OBJ) $(FUZZERS:%=$(FUZZ)/obj/spec/fuzz/%.o) $(FUZZERS:%=$(FUZZ)/%)
-include $(shell find $(COV) $(FUZZ) -name '*.d' 2>/dev/null)

# -- Checks ---------------------------------------------------------------------
# Each leaves a stamp under build/check, so that a second run looks at what
# changed. The stamps of clang carry the dependencies on headers for the others.

K      = build/check
C_ALL := $(wildcard csrc/*/*.c spec/c/*.c spec/bench/*.c spec/fuzz/*.c build-aux/*.c)
H_ALL := $(wildcard csrc/*/*.h spec/c/*.h spec/fuzz/*.h build-aux/*.h)
# what is analysed: tests go on after a failed CHECK, which misleads analysers
OURS  := $(filter-out csrc/proto/llhttp_unit% spec/%,$(C_ALL))

check: check-deps ## all that a commit must pass
	@$(MAKE) --no-print-directory -j$(JOBS) lint fuzz-check
	@$(MAKE) --no-print-directory symbols rocks-check version $(B)/tested
	@echo "check: all good"

lint: format-check warnings musl-compile tidy cppcheck luacheck layers model-check

format-check: $(K)/format
$(K)/format: $(C_ALL) $(H_ALL) .clang-format
	@mkdir -p $(@D)
	@echo "  FORMAT"
	$(Q)$(CLANG_FORMAT) --dry-run -Werror $(C_ALL) $(H_ALL)
	$(Q)! awk 'length > 80 { print FILENAME ":" FNR ": over 80 columns" }' $(C_ALL) $(H_ALL) | grep .
	@touch $@

format: ## rewrite the C files in the project's format
	$(CLANG_FORMAT) -i $(C_ALL) $(H_ALL)

warnings: $(C_ALL:%.c=$(K)/gcc/%.o) $(C_ALL:%.c=$(K)/clang/%.ok)
$(K)/gcc/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  GCC  $<"
	$(Q)gcc $(STD) -O2 -MMD -MP $(call warn,$<) -Werror -c -o $@ $<
$(K)/clang/%.ok: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CLANG $<"
	$(Q)$(CLANG) $(STD) -O1 -MMD -MP -MF $(@:.ok=.d) -MT $@ $(call warn,$<) -Werror -fsyntax-only $<
	@touch $@
-include $(shell find $(K) -name '*.d' 2>/dev/null)

# musl's headers, and those of the libraries without glibc's beside them
MUSL_ROOTS   := /usr/include /usr/include/$(shell $(CC) -print-multiarch)
MUSL_HEADERS  = lua*.h uv.h uv openssl curl llhttp.h MQTT*.h sqlite3.h nats
MUSL_DIRS     = $(K)/musl-include/1 $(K)/musl-include/2
musl-compile: $(patsubst %.c,$(K)/musl/%.ok,$(filter csrc/%,$(C_ALL))) ## does csrc compile with musl?
$(K)/musl/%.ok: $(K)/clang/%.ok $(K)/musl-include/ready
	@mkdir -p $(@D)
	@echo "  MUSL $*.c"
	$(Q)musl-gcc $(STD) -O2 $(MUSL_DIRS:%=-isystem %) $(call warn,$*.c) -Werror -fsyntax-only $*.c
	@touch $@
$(K)/musl-include/ready: Makefile
	@rm -rf $(@D)
	@mkdir -p $(MUSL_DIRS)
	@n=1; for root in $(MUSL_ROOTS); do \
	  for f in $(MUSL_HEADERS:%=$$root/%); do \
	    [ ! -e $$f ] || ln -s $$f $(@D)/$$n; done; n=2; done
	@touch $@

# The agent of the feed on a router of musl and busybox, whose libraries are built from
# Debian's sources and kept in MUSL. Needs root.
MUSL ?= build/musl
musl: all ## the agent in a chroot of musl and busybox: what it survives, what it takes
	@$(DEPS) check
	@JOBS=$(JOBS) sh build-aux/musl/libraries.sh $(MUSL)
	@sh build-aux/musl/trial.sh $(MUSL)

ARCH ?= armhf
arch: ## C tests and specs on another processor by qemu: ARCH=armhf|mipsel|s390x|riscv64
	@sh build-aux/arch.sh $(ARCH)

tidy: $(OURS:%.c=$(K)/tidy/%.ok)
$(K)/tidy/%.ok: $(K)/clang/%.ok .clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY $*.c"
	$(Q)$(CLANG_TIDY) --quiet $*.c -- -include build-aux/noreturn.h $(STD) >$(@:.ok=.log) 2>&1 || \
	  { cat $(@:.ok=.log); exit 1; }
	@touch $@

cppcheck: $(OURS:%.c=$(K)/cppcheck/%.ok)
$(K)/cppcheck/%.ok: $(K)/clang/%.ok
	@mkdir -p $(@D)
	@echo "  CPPCHECK $*.c"
	$(Q)$(CPPCHECK) --quiet --std=c11 --enable=warning,portability,performance \
	  --inline-suppr --suppress=missingIncludeSystem \
	  --suppress=ctuPointerArith --suppress=memleak --error-exitcode=1 \
	  -D_GNU_SOURCE -D__GNUC__=12 -Icsrc $*.c
	@touch $@

luacheck: $(K)/luacheck
$(K)/luacheck: $(LUA_FILES) $(wildcard build-aux/*.lua) .luacheckrc
	@mkdir -p $(@D)
	@echo "  LUACHECK"
	$(Q)$(LUACHECK) -q $(LUA_FILES) $(wildcard build-aux/*.lua)
	@touch $@

# what a module is made of, and C files of csrc that no module has
layered = $(sort $(foreach m,$(MODULES),$($(m)_SRC)) \
  $(filter-out csrc/proto/llhttp_unit% csrc/net/mqtt_no_paho.c csrc/lua/l_no_cluster.c, \
  $(filter csrc/%,$(C_ALL))))

layers: $(K)/layers ## includes point down only, no files of a folder in a circle
$(K)/layers: $(C_ALL) $(H_ALL) build-aux/layers.lua build-aux/circles.lua $(call obj,$(layered))
	@mkdir -p $(@D)
	@echo "  LAYERS"
	$(Q)$(LUA) build-aux/layers.lua $(filter csrc/%,$(C_ALL) $(H_ALL))
	$(Q)$(LUA) build-aux/circles.lua $(B)/obj $(filter csrc/%,$(C_ALL))
	@touch $@

symbols: $(SO) ## the modules export luaopen_* alone and miss nothing
	@for so in $(SO); do sh build-aux/symbols.sh $$so || exit 1; done

rocks-check: ## the rockspecs name the files that are there
	@$(LUA) build-aux/rocks.lua --check
rocks-write: ## rewrite the file lists of the rockspecs
	@$(LUA) build-aux/rocks.lua --write

version: ## the same version stands everywhere
	@$(LUA) build-aux/version.lua --check

# The protocol between hubs, in Promela
model: ## the protocol between hubs, checked by Spin: all bounds, and all planted mistakes
	@$(DEPS) check
	@$(LUA) spec/model/run.lua build/model
model-check: $(K)/model
$(K)/model: $(wildcard spec/model/*)
	@mkdir -p $(@D)
	$(Q)$(LUA) spec/model/run.lua --short build/model
	@touch $@

# -- Install --------------------------------------------------------------------
# DESTDIR=/stage puts everything below /stage, for packages; then the launcher names
# the interpreter that TARGET_LUA says, not this machine's.

prefix      = $(abspath $(PREFIX))
INSTALL_CMOD ?= $(prefix)/lib/lua/$(LUA_VERSION)
INSTALL_LMOD  ?= $(prefix)/share/lua/$(LUA_VERSION)
DOCDIR     ?= $(prefix)/share/doc/directmethods
TARGET_LUA ?= $(if $(DESTDIR),/usr/bin/env lua$(LUA_VERSION),$(shell command -v $(LUA)))
BIN         = $(DESTDIR)$(prefix)/bin/directmethods

# what a device needs, and that alone; what a service needs besides
DEVICE_LUA  = $(shell sh build-aux/closure.sh directmethods directmethods.device)
SERVICE_LUA = $(filter-out $(DEVICE_LUA),\
                $(shell sh build-aux/closure.sh directmethods.service))
# and what they read: files beside them
ALL_LUA    = $(shell find lua -name node_modules -prune -o -type f ! -name '*.meta.lua' \
               ! -name 'package*.json' -print) $(wildcard $(PAGE_FILES))

# install_lua FILES; install_so: the modules of MODULES
define install_lua
	@for f in $(patsubst lua/%,%,$(1)); do \
	  $(INSTALL) -D -m 644 lua/$$f $(DESTDIR)$(INSTALL_LMOD)/$$f || exit 1; done
endef
define install_so
	@$(INSTALL) -d $(DESTDIR)$(INSTALL_CMOD)/directmethods
	@$(INSTALL) -m 755 $(SO) $(DESTDIR)$(INSTALL_CMOD)/directmethods
endef

# The manual page and the completion of shells are made from the options. Where they
# cannot be made (argparse is missing; modules of another machine), the rest is
# installed.
MAN       = build/directmethods.1
MAN_PLACE = share/man/man1/directmethods.1
COMPLETIONS = bash/share/bash-completion/completions/directmethods \
              zsh/share/zsh/site-functions/_directmethods \
              fish/share/fish/vendor_completions.d/directmethods.fish
SHARED    = $(MAN_PLACE) $(foreach c,$(COMPLETIONS),$(c:$(firstword $(subst /, ,$(c)))/%=%))

man: all ## the manual page of the command line, build/directmethods.1
	@mkdir -p $(dir $(MAN))
	@$(RUN) build-aux/man.lua >$(MAN)

completions: all
	@mkdir -p build/completion
	@for c in $(COMPLETIONS); do \
	  $(RUN) build-aux/directmethods completion $${c%%/*} >build/completion/$${c%%/*} || exit 1; done

install-shared: man completions
	@$(INSTALL) -D -m 644 $(MAN) $(DESTDIR)$(prefix)/$(MAN_PLACE)
	@for c in $(COMPLETIONS); do \
	  $(INSTALL) -D -m 644 build/completion/$${c%%/*} $(DESTDIR)$(prefix)/$${c#*/} || exit 1; done

install: all ## into PREFIX: bin/directmethods, its manual page, lib/lua/5.4, share/lua/5.4
	$(install_so)
	$(call install_lua,$(ALL_LUA))
	@$(INSTALL) -d $(dir $(BIN))
	@sh build-aux/launcher.sh "$(TARGET_LUA)" $(INSTALL_LMOD) $(INSTALL_CMOD) >$(BIN)
	@chmod 755 $(BIN)
	@$(MAKE) --no-print-directory install-shared 2>/dev/null || \
	  echo "installed no manual page and no completion: they need argparse"
	@echo "installed $(BIN)"

install-device: ## into PREFIX: core.so and the Lua files of a device, nothing else
	@$(MAKE) --no-print-directory -j$(JOBS) MODULES=core modules install-device-files

install-device-files: modules
	$(install_so)
	$(call install_lua,$(DEVICE_LUA))
	@echo "installed the device into $(DESTDIR)$(INSTALL_CMOD) and $(DESTDIR)$(INSTALL_LMOD)"

install-service: ## into PREFIX: http_core.so and the Lua files that a service needs beside a device's
	@$(MAKE) --no-print-directory -j$(JOBS) MODULES=http_core modules install-service-files

install-service-files: modules
	$(install_so)
	$(call install_lua,$(SERVICE_LUA))
	@echo "installed the service into $(DESTDIR)$(INSTALL_CMOD) and $(DESTDIR)$(INSTALL_LMOD)"

install-doc: ## into DOCDIR: README, licence, documents and examples
	@$(INSTALL) -d $(DESTDIR)$(DOCDIR)
	@cp -R README.md CHANGELOG.md LICENSE docs examples $(DESTDIR)$(DOCDIR)

uninstall: ## remove what `make install` put into PREFIX
	@rm -rf $(DESTDIR)$(INSTALL_CMOD)/directmethods $(DESTDIR)$(INSTALL_LMOD)/directmethods $(BIN) \
	  $(SHARED:%=$(DESTDIR)$(prefix)/%)

# -- Rocks and archives ---------------------------------------------------------

# dist-files: what the archive has and git has not, below build/dist-files
dist-files: $(PAGE)
	@for f in $(PAGE_FILES); do $(INSTALL) -D -m 644 $$f build/dist-files/$$f || exit 1; done
dist: dist-files ## an archive of the sources that builds, tests and packs itself
	@mkdir -p build
	@sh build-aux/dist.sh build

rock: dist-files ## the rocks with LuaRocks: from sources, source rocks and binary rocks; try each
	@$(DEPS_OF_CLUSTER) run rock core http_core hub_core cluster_core
	@mkdir -p build
	@archive=$$(sh build-aux/dist.sh $(CURDIR)/build) && LUAROCKS="$(LUAROCKS)" LUA="$(LUA)" \
	  LUA_VERSION=$(LUA_VERSION) sh build-aux/rock.sh $(CURDIR)/build/rocks $$archive

# What needs the network and root: a bare Debian is made once, build/packages/bare-*.tar
PACKAGES = $(CURDIR)/build/packages
packages: rock debian container ## rocks, Debian packages and container, each tried
	@echo "packages: all good"

debian container: dist
	@$(DEPS_OF_CLUSTER) build cluster_core run package
	@bare=$$(sh build-aux/bare.sh $(PACKAGES)) && \
	  sh build-aux/$@.sh $(PACKAGES)/$@ $$(sh build-aux/dist.sh $(CURDIR)/build) $$bare

clean: ## remove everything that was built
	@rm -rf build spec/interop/node_modules spec/inspector/node_modules
always:

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
	  sed -E 's/^([a-z-]+):.*## /\1\t/' | sort | \
	  while IFS='	' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

.PHONY: all test test-c test-programs run-specs proof cluster-proof asan tsan gc inspector-deps interop-deps demo cluster-demo trial bench deps \
  dev-deps test-deps check-deps check lint format-check format warnings musl musl-compile arch coverage fuzz fuzz-check tidy \
  cppcheck luacheck layers model model-check symbols rocks-check rocks-write version modules always install \
  man completions install-shared \
  install-device install-device-files install-service install-service-files install-doc uninstall dist dist-files rock packages debian container clean help
