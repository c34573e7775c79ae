#include "model_of.hpp"

namespace minnorm::c {

template std::shared_ptr<AnyModel> fit<float>(const minnorm_linear_options&,
                                              ConstRowMatrixRef<float>, ConstRowMatrixRef<float>);
template std::shared_ptr<AnyModel> fit<float>(const minnorm_kernel_options&,
                                              ConstRowMatrixRef<float>, ConstRowMatrixRef<float>);

}  // namespace minnorm::c
