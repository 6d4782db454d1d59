# pw_options: how every part of perfwrap is compiled and linked. Linked PRIVATE by each target, so that
# nothing of it reaches the warden and the test targets, which need other flags.
include(CheckPIESupported)
include(CheckCCompilerFlag)
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
# Without NDEBUG: an assertion that does not hold is a defect, also at the user's.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")
if(PW_SANITIZE OR PW_FUZZ) # finds as much, and is sooner compiled
    set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g")
    set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g")
endif()
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

# What all C of the repository shares.
add_library(pw_language INTERFACE)
target_include_directories(pw_language INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(pw_language INTERFACE _GNU_SOURCE PERFWRAP_VERSION="${PROJECT_VERSION}")
target_compile_options(pw_language INTERFACE $<$<COMPILE_LANGUAGE:C>:
    -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes
    -Wformat-security -Wvla $<$<BOOL:${PW_WERROR}>:-Werror>>)

# CMake writes -no-pie beside -static, which clang finds too much.
target_link_options(pw_language INTERFACE
    $<$<C_COMPILER_ID:Clang>:-Wno-unused-command-line-argument>)

add_library(pw_options INTERFACE)
target_link_libraries(pw_options INTERFACE pw_language)
target_compile_options(pw_options INTERFACE -fno-omit-frame-pointer)
if(PW_BPF)
    target_compile_definitions(pw_options INTERFACE PW_BPF=1)
endif()

# gcc 12 calls memory that a caller's object keeps a leak; LeakSanitizer finds the real ones.
set(PW_ANALYZER_FLAGS -fanalyzer -Wno-analyzer-malloc-leak)

# Hardening, or sanitizers: they do not go together (_FORTIFY_SOURCE hides calls from AddressSanitizer).
if(PW_FUZZ)
    target_compile_options(pw_options INTERFACE
        -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
    target_link_options(pw_options INTERFACE -fsanitize=address,undefined)
elseif(PW_SANITIZE)
    target_compile_options(pw_options INTERFACE -fsanitize=${PW_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(pw_options INTERFACE -fsanitize=${PW_SANITIZE})
else()
    target_compile_options(pw_options INTERFACE -fstack-protector-strong -fstack-clash-protection)
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        target_compile_options(pw_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    endif()
    check_c_compiler_flag(-fcf-protection PW_HAVE_CF_PROTECTION)
    if(PW_HAVE_CF_PROTECTION)
        target_compile_options(pw_options INTERFACE -fcf-protection)
    endif()
    target_link_options(pw_options INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
