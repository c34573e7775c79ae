# Finds Eigen >= 3.4 for the build and for the installed package alike.
# Sets minnorm_EIGEN_FOUND and, when it is false, minnorm_EIGEN_MESSAGE.
#
# find_package is called without a version: Eigen 5 refuses a request for 3.x. The suffix is where
# the cmeel-eigen wheel keeps its headers below site-packages; Debian's libeigen3-dev is found in
# the usual place. From the installed package, the site-packages that holds it is searched too.
if(NOT TARGET Eigen3::Eigen)
  find_package(
    Eigen3 CONFIG QUIET
    PATHS ${CMAKE_CURRENT_LIST_DIR}/../../../..
    PATH_SUFFIXES cmeel.prefix/share/eigen3/cmake)
endif()

set(minnorm_EIGEN_FOUND FALSE)
if(NOT TARGET Eigen3::Eigen)
  set(minnorm_EIGEN_MESSAGE
      "minnorm needs the headers of Eigen 3.4 or newer and found none. Install Debian's libeigen3-dev or the Python package cmeel-eigen, or set Eigen3_DIR or CMAKE_PREFIX_PATH.")
elseif(DEFINED Eigen3_VERSION AND Eigen3_VERSION VERSION_LESS 3.4)
  set(minnorm_EIGEN_MESSAGE
      "minnorm needs Eigen 3.4 or newer; ${Eigen3_DIR} holds ${Eigen3_VERSION}. Set Eigen3_DIR to a newer one.")
else()
  set(minnorm_EIGEN_FOUND TRUE)
endif()
