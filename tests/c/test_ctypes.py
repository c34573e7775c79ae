"""The C interface from Python's ctypes: python test_ctypes.py libminnorm.so.

Neither the Python package nor numpy is used; structures and prototypes are written out as a
program in another language would, so a changed layout fails here.
"""

import ctypes
import random
import sys
import threading
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_int32, c_int64, c_void_p

N, P, GONE = 25, 40, [19, 3]


class Certificate(ctypes.Structure):
    _fields_ = (
        ("rank", c_int64),
        ("n_retained", c_int64),
        ("n_forgotten", c_int64),
        ("residual", c_double),
        ("parameter_error_bound", c_double),
        ("intercept_error_bound", c_double),
        ("prediction_error_bound", c_double),
        ("sigma_min_bound", c_double),
        ("condition_bound", c_double),
        ("interpolates", c_int32),
        ("refinement_steps", c_int32),
        ("method", c_char * 64),
    )


def load(path):
    library = ctypes.CDLL(path)
    matrix = [POINTER(c_double), c_int64]
    library.minnorm_message.restype = c_char_p
    library.minnorm_version.restype = c_char_p
    library.minnorm_linear_fit_f64.argtypes = [
        *[c_int64] * 3,
        *matrix,
        *matrix,
        c_void_p,
        POINTER(c_void_p),
    ]
    library.minnorm_forget.argtypes = [c_void_p, c_int64, POINTER(c_int64), POINTER(Certificate)]
    library.minnorm_certify.argtypes = [c_void_p, POINTER(Certificate)]
    library.minnorm_coef_f64.argtypes = [c_void_p, c_int64, c_int64, *matrix]
    library.minnorm_free.argtypes = [c_void_p]
    return library


def fit(library, rows, targets):
    model = c_void_p()
    flat = [value for row in rows for value in row]
    status = library.minnorm_linear_fit_f64(
        len(rows),
        P,
        1,
        (c_double * len(flat))(*flat),
        P,
        (c_double * len(targets))(*targets),
        1,
        None,
        byref(model),
    )
    assert status == 0, library.minnorm_message()
    return model


def test_forget_equals_refit(library):
    generator = random.Random(0)
    rows = [[generator.gauss(0, 1) for _ in range(P)] for _ in range(N)]
    targets = [generator.gauss(0, 1) for _ in range(N)]
    kept = [i for i in range(N) if i not in GONE]
    model = fit(library, rows, targets)
    rest = fit(library, [rows[i] for i in kept], [targets[i] for i in kept])

    after, fresh = Certificate(), Certificate()
    assert library.minnorm_forget(model, 2, (c_int64 * 2)(*GONE), byref(after)) == 0
    assert library.minnorm_certify(rest, byref(fresh)) == 0
    assert (after.rank, after.n_retained, after.n_forgotten) == (N - 2, N - 2, 2)
    assert after.interpolates == 1
    assert after.method == b"cholesky+rotations"

    coefficients = []
    for held in (model, rest):
        W = (c_double * P)()
        assert library.minnorm_coef_f64(held, 1, P, W, P) == 0
        coefficients.append(list(W))
    distance = sum((a - b) ** 2 for a, b in zip(*coefficients, strict=True)) ** 0.5
    assert distance <= after.parameter_error_bound + fresh.parameter_error_bound < 1e-10
    assert library.minnorm_free(model) == library.minnorm_free(rest) == 0


def test_a_freed_handle_is_refused(library):
    model = fit(library, [[1.0] * P], [1.0])
    assert library.minnorm_free(model) == 0
    assert library.minnorm_certify(model, byref(Certificate())) == 5
    assert b"freed" in library.minnorm_message()


def test_messages_are_of_the_thread(library):
    assert library.minnorm_free(c_void_p(8)) == 5
    other = []
    thread = threading.Thread(target=lambda: other.append(library.minnorm_message()))
    thread.start()
    thread.join()
    assert other == [b""]
    assert b"never issued" in library.minnorm_message()


if __name__ == "__main__":
    library = load(sys.argv[1])
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test(library)
            print(name, "passed")
    print("libminnorm", library.minnorm_version().decode())
