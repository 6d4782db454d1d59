# The warden: a tiny static program that perfwrap carries inside itself and executes from memory. Static and
# without position independence, so that its address space is as small and as quick to start as can be; the
# sanitizers' runtimes would defeat that, so in their builds it traps on undefined behaviour instead.
#
# pw_embed_warden(LIBRARY SOURCES...): builds the program and adds its image to the library.
function(pw_embed_warden library)
    set(image ${PROJECT_BINARY_DIR}/warden/pw_warden)
    add_executable(pw_warden ${ARGN})
    target_link_libraries(pw_warden PRIVATE pw_language)
    set_target_properties(pw_warden PROPERTIES
        POSITION_INDEPENDENT_CODE OFF RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/warden)
    target_compile_options(pw_warden PRIVATE
        -O2 -g0 -fno-pie -ffunction-sections -fdata-sections
        $<$<BOOL:${PW_ANALYZER}>:${PW_ANALYZER_FLAGS}>)
    if(PW_SANITIZE MATCHES "undefined" OR PW_FUZZ)
        target_compile_options(pw_warden PRIVATE
            -fsanitize=undefined -fsanitize-undefined-trap-on-error)
    endif()
    target_link_options(pw_warden PRIVATE -static -s -Wl,--gc-sections -Wl,--build-id=none)

    # One assembler file that includes the program's bytes; made anew whenever they change.
    set(assembly ${PROJECT_BINARY_DIR}/warden/warden_image.S)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/warden_image.S.in ${assembly} @ONLY)
    set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS ${image})
    target_sources(${library} PRIVATE ${assembly})
    add_dependencies(${library} pw_warden)
endfunction()
