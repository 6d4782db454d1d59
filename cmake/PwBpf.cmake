# The accounting programs: compiled with clang for the kernel's virtual machine, and made a C header that carries them
# (a skeleton, `#include <account.skel.h>`). Nothing of the build machine's kernel goes in. -DPW_BPF=OFF builds
# without; perfwrap then says so where it is asked for eBPF.
if(PW_BPF)
    find_program(PW_BPF_CLANG NAMES clang clang-14 clang-15 clang-16 clang-17 clang-18 clang-19)
    find_program(PW_BPFTOOL bpftool PATHS /usr/sbin /sbin)
    pkg_check_modules(LIBBPF IMPORTED_TARGET libbpf>=1.0)
    if(NOT PW_BPF_CLANG OR NOT PW_BPFTOOL OR NOT LIBBPF_FOUND)
        message(FATAL_ERROR "eBPF accounting needs clang, bpftool and libbpf >= 1.0; -DPW_BPF=OFF builds without")
    endif()
endif()

# pw_bpf_library(NAME FOLDER LINK lib...): the static library of the folder's user space, with the programs in it.
function(pw_bpf_library name folder)
    cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LINK")
    if(NOT PW_BPF)
        add_library(${name} STATIC ${folder}/account_none.c)
        target_link_libraries(${name} PUBLIC ${arg_LINK} PRIVATE pw_options)
        return()
    endif()
    file(GLOB programs CONFIGURE_DEPENDS ${folder}/*.bpf.c ${folder}/*.bpf.h ${folder}/*_abi.h)
    set(made ${PROJECT_BINARY_DIR}/bpf)
    file(MAKE_DIRECTORY ${made})
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
        set(architecture arm64)
    else()
        set(architecture x86)
    endif()
    # The headers of <linux/> want <asm/>, which clang does not look for when it does not build for this machine.
    set(system_headers "")
    if(CMAKE_LIBRARY_ARCHITECTURE)
        set(system_headers -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
    endif()
    set(compile ${PW_BPF_CLANG} -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_${architecture} -Wall -Wextra -Werror
        -Wno-unused-parameter -I${PROJECT_SOURCE_DIR} ${system_headers}
        -c ${PROJECT_SOURCE_DIR}/${folder}/account.bpf.c -o ${made}/account.bpf.o)
    # Drops the debugging information, which would name this build's folders; the types (BTF) stay.
    set(strip ${PW_BPFTOOL} gen object ${made}/account.linked.o ${made}/account.bpf.o)
    set(carry ${PW_BPFTOOL} gen skeleton ${made}/account.linked.o name pw_account_bpf)
    # Once when the build is configured, so that checks of sources (clang-tidy) need no build.
    if(NOT EXISTS ${made}/account.skel.h)
        execute_process(COMMAND ${compile} COMMAND_ERROR_IS_FATAL ANY)
        execute_process(COMMAND ${strip} COMMAND_ERROR_IS_FATAL ANY)
        execute_process(COMMAND ${carry} OUTPUT_FILE ${made}/account.skel.h COMMAND_ERROR_IS_FATAL ANY)
    endif()
    add_custom_command(OUTPUT ${made}/account.skel.h
        COMMAND ${compile} COMMAND ${strip} COMMAND ${carry} > ${made}/account.skel.h
        DEPENDS ${programs} VERBATIM)
    add_custom_target(${name}_programs DEPENDS ${made}/account.skel.h)
    pw_library(${name} ${folder} EXCLUDE account.bpf.c account_none.c LINK ${arg_LINK} PkgConfig::LIBBPF)
    add_dependencies(${name} ${name}_programs)
    target_include_directories(${name} SYSTEM PUBLIC ${made})
endfunction()
