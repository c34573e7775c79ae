! Fits a kernel model from Fortran, forgets two samples, prints the certificate.
!
! A row-major (n, p) matrix with leading dimension p is the Fortran array X(p, n): one sample a
! column, passed as it lies in memory.
module minnorm
  use, intrinsic :: iso_c_binding
  implicit none

  type, bind(c) :: certificate_type
    integer(c_int64_t) :: rank, n_retained, n_forgotten
    real(c_double) :: residual, parameter_error_bound, intercept_error_bound
    real(c_double) :: prediction_error_bound, sigma_min_bound, condition_bound
    integer(c_int32_t) :: interpolates, refinement_steps
    character(kind=c_char) :: method(64)
  end type

  interface
    integer(c_int32_t) function minnorm_kernel_fit_f64(n, p, t, X, ldx, Y, ldy, options, model) &
        bind(c)
      import
      integer(c_int64_t), value :: n, p, t, ldx, ldy
      real(c_double), intent(in) :: X(*), Y(*)
      type(c_ptr), value :: options
      type(c_ptr), intent(out) :: model
    end function
    integer(c_int32_t) function minnorm_forget(model, count, ids, certificate) bind(c)
      import
      type(c_ptr), value :: model
      integer(c_int64_t), value :: count
      integer(c_int64_t), intent(in) :: ids(*)
      type(certificate_type), intent(out) :: certificate
    end function
    integer(c_int32_t) function minnorm_free(model) bind(c)
      import
      type(c_ptr), value :: model
    end function
    type(c_ptr) function minnorm_message() bind(c)
      import
    end function
    integer(c_size_t) function strlen(text) bind(c)
      import
      type(c_ptr), value :: text
    end function
  end interface

contains

  subroutine check(status)
    integer(c_int32_t), intent(in) :: status
    type(c_ptr) :: text
    character(kind=c_char), pointer :: message(:)
    if (status == 0) return
    text = minnorm_message()
    call c_f_pointer(text, message, [strlen(text)])
    print *, "minnorm: ", message
    error stop 1
  end subroutine

end module

program forget
  use minnorm
  implicit none
  integer(c_int64_t), parameter :: n = 60, p = 5, t = 1
  real(c_double) :: X(p, n), y(t, n)
  type(c_ptr) :: model
  type(certificate_type) :: certificate
  integer :: i

  X = reshape([(mod(i * i * 0.37d0, 1.0d0), i = 1, int(n * p))], [p, n])
  y(1, :) = sin(6 * X(1, :))
  call check(minnorm_kernel_fit_f64(n, p, t, X, p, y, t, c_null_ptr, model))
  call check(minnorm_forget(model, 2_c_int64_t, [4_c_int64_t, 41_c_int64_t], certificate))
  print "(i0, a, i0, a, es8.1, a)", certificate%n_retained, " retained, ", &
    certificate%n_forgotten, " forgotten, within ", certificate%parameter_error_bound, &
    " of the model that never saw them (proved)"
  call check(minnorm_free(model))
end program
