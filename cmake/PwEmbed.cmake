# Small static programs that perfwrap carries inside itself: the warden, which it executes from memory, and the
# init of its virtual machines. Static and without position independence, so that the address space is as small
# and as quick to start as can be; the sanitizers' runtimes would defeat that, so in their builds they trap on
# undefined behaviour instead.
#
# pw_embed_program(LIBRARY NAME SYMBOL OPTIMISATION SOURCES...): builds the program NAME and adds its bytes to the
# library, as SYMBOL[] and SYMBOL_size.
function(pw_embed_program library name symbol optimisation)
    set(folder ${PROJECT_BINARY_DIR}/embedded)
    set(image ${folder}/${name})
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE pw_language)
    set_target_properties(${name} PROPERTIES
        POSITION_INDEPENDENT_CODE OFF RUNTIME_OUTPUT_DIRECTORY ${folder})
    target_compile_options(${name} PRIVATE
        ${optimisation} -g0 -fno-pie -ffunction-sections -fdata-sections
        $<$<BOOL:${PW_ANALYZER}>:${PW_ANALYZER_FLAGS}>)
    if(PW_SANITIZE MATCHES "undefined" OR PW_FUZZ)
        target_compile_options(${name} PRIVATE
            -fsanitize=undefined -fsanitize-undefined-trap-on-error)
    endif()
    target_link_options(${name} PRIVATE -static -s -Wl,--gc-sections -Wl,--build-id=none)

    # One assembler file that includes the program's bytes; made anew whenever they change.
    set(assembly ${folder}/${name}_image.S)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/embedded_image.S.in ${assembly} @ONLY)
    set_source_files_properties(${assembly} PROPERTIES OBJECT_DEPENDS ${image})
    target_sources(${library} PRIVATE ${assembly})
    add_dependencies(${library} ${name})
endfunction()
