# The SLA profiles that perfwrap carries: the JSON files as string literals in one C file, made when the build is
# configured and whenever one of them changes.
#
# pw_embed_profiles(LIBRARY NAME...): sla/profiles/NAME.json, in this order, as pw_named_profiles of sla/profile.h.
function(pw_embed_profiles library)
    set(texts "")
    set(rows "")
    foreach(name IN LISTS ARGN)
        set(file ${PROJECT_SOURCE_DIR}/sla/profiles/${name}.json)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
        file(READ ${file} text)
        string(REPLACE "\\" "\\\\" text "${text}")
        string(REPLACE "\"" "\\\"" text "${text}")
        string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
        string(MAKE_C_IDENTIFIER ${name} symbol)
        string(APPEND texts "static const char ${symbol}_text[] =\n    \"${text}\";\n")
        string(APPEND rows "    {\"${name}\", ${symbol}_text, sizeof ${symbol}_text - 1},\n")
    endforeach()
    set(source ${PROJECT_BINARY_DIR}/sla/profiles.c)
    file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[
/* Made of sla/profiles/ by cmake/PwProfiles.cmake. */
#include "sla/profile.h"

@texts@
const struct pw_named_profile pw_named_profiles[PW_NAMED_PROFILE_COUNT] = {
@rows@};
]])
    target_sources(${library} PRIVATE ${source})
endfunction()
