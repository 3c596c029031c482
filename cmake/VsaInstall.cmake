# Libraries, headers, the tool, find_package(vsa) and pkg-config.

include(CMakePackageConfigHelpers)

install(TARGETS vsa vsa_standalone EXPORT vsaTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES include/vsa.h include/vsa_standalone.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(TARGET vsa_tool)
    install(TARGETS vsa_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

set(_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/vsa")
install(EXPORT vsaTargets NAMESPACE vsa:: DESTINATION "${_config_dir}")
configure_package_config_file(cmake/vsaConfig.cmake.in
    "${CMAKE_CURRENT_BINARY_DIR}/vsaConfig.cmake" INSTALL_DESTINATION "${_config_dir}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/vsaConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/vsaConfig.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/vsaConfigVersion.cmake"
    cmake/FindShaderc.cmake
    DESTINATION "${_config_dir}")

include(VsaPkgConfig)
