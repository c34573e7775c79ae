// minnorm: exact deletion of samples from interpolating models. Header only; needs
// Eigen 3.4 or 5 and C++17. Objects are values: distinct ones may be used from
// distinct threads; one may be read by several while none changes it.
#pragma once

#include "jacobian_projector.hpp"
#include "kernel_interpolator.hpp"
#include "linear_interpolator.hpp"
