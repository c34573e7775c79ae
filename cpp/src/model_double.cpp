#include "model_of.hpp"

namespace minnorm::c {

template std::shared_ptr<AnyModel> fit<double>(const minnorm_linear_options&,
                                               ConstRowMatrixRef<double>,
                                               ConstRowMatrixRef<double>);
template std::shared_ptr<AnyModel> fit<double>(const minnorm_kernel_options&,
                                               ConstRowMatrixRef<double>,
                                               ConstRowMatrixRef<double>);

}  // namespace minnorm::c
