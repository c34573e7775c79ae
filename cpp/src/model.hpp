// Model: what a model handle stands for, linear or kernel, float or double.
//
// The functions of the C interface see these two classes only; the templates of the
// library are instantiated in model_double.cpp and model_float.cpp, one precision each.
#pragma once

#include <memory>
#include <vector>

#include "minnorm.h"
#include "minnorm/certificate.hpp"
#include "minnorm/errors.hpp"
#include "minnorm/types.hpp"

namespace minnorm::c {

class AnyModel {
 public:
  virtual ~AnyModel() = default;
  virtual std::shared_ptr<AnyModel> copy() const = 0;
  virtual minnorm_shape shape() const = 0;
  virtual const std::vector<Handle>& ids() const = 0;
  virtual const Certificate& certificate() const = 0;
  virtual void reserve(Index count) = 0;
  virtual void forget(View<Handle> ids) = 0;
};

template <class S>
class Model : public AnyModel {
 public:
  virtual std::vector<Handle> learn(ConstRowMatrixRef<S> X, ConstRowMatrixRef<S> Y) = 0;
  virtual RowMatrix<S> predict(ConstRowMatrixRef<S> Z) const = 0;
  virtual RowMatrix<S> coef() const = 0;
  virtual Vector<S> intercept() const = 0;
  virtual RowMatrix<S> dual_coef() const = 0;
  virtual RowMatrix<S> leave_one_out() const = 0;
};

template <class S>
std::shared_ptr<AnyModel> fit(const minnorm_linear_options& options, ConstRowMatrixRef<S> X,
                              ConstRowMatrixRef<S> Y);
template <class S>
std::shared_ptr<AnyModel> fit(const minnorm_kernel_options& options, ConstRowMatrixRef<S> X,
                              ConstRowMatrixRef<S> Y);

}  // namespace minnorm::c
