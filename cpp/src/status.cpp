#include "status.hpp"

#include <cstdio>
#include <exception>
#include <new>

namespace {

thread_local char message[512] = "";

minnorm_status report(minnorm_status status, const char* what) noexcept {
  std::snprintf(message, sizeof message, "%s", what);
  return status;
}

}  // namespace

namespace minnorm::c {

minnorm_status report_current_exception() noexcept {
  try {
    throw;
  } catch (const HandleError& error) {
    return report(MINNORM_BAD_HANDLE, error.what());
  } catch (const ShapeError& error) {
    return report(MINNORM_WRONG_SHAPE, error.what());
  } catch (const InputError& error) {
    return report(MINNORM_INVALID_INPUT, error.what());
  } catch (const UnknownSampleError& error) {
    return report(MINNORM_UNKNOWN_SAMPLE, error.what());
  } catch (const NotPositiveDefiniteError& error) {
    return report(MINNORM_NOT_POSITIVE_DEFINITE, error.what());
  } catch (const std::bad_alloc&) {
    return report(MINNORM_OUT_OF_MEMORY,
                  "memory: expected enough for the model and its factor, got less; fit fewer "
                  "samples or use float");
  } catch (const std::exception& error) {
    return report(MINNORM_INTERNAL_ERROR, error.what());
  } catch (...) {
    return report(MINNORM_INTERNAL_ERROR, "an exception of unknown type");
  }
}

}  // namespace minnorm::c

extern "C" const char* minnorm_version(void) { return MINNORM_VERSION; }
extern "C" const char* minnorm_message(void) { return message; }
