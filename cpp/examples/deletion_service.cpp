// A deletion service: one request a line on standard input, one JSON object a line on
// standard output.
//
//   forget 3 17      deletes these samples; answers with the certificate
//   certify          the certificate of the model as it is
//   predict 0.5 ...  the output for one input
//
// A request that is refused changes nothing and is answered with {"error": ...}.
#include <cmath>
#include <iostream>
#include <minnorm/minnorm.hpp>
#include <sstream>

namespace {

using Model = minnorm::LinearInterpolator<double>;

// JSON has no infinity: a bound that could not be proved is null.
std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  std::ostringstream text;
  text.precision(17);
  text << value;
  return text.str();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

std::string json(const minnorm::Certificate& certificate) {
  std::ostringstream out;
  out << "{\"method\": " << quoted(certificate.method)
      << ", \"retained\": " << certificate.n_retained
      << ", \"forgotten\": " << certificate.n_forgotten << ", \"rank\": " << certificate.rank
      << ", \"interpolates\": " << (certificate.interpolates ? "true" : "false")
      << ", \"residual\": " << number(certificate.residual)
      << ", \"parameter_error_bound\": " << number(certificate.parameter_error_bound)
      << ", \"prediction_error_bound\": " << number(certificate.prediction_error_bound) << "}";
  return out.str();
}

template <class T>
std::vector<T> rest_of(std::istringstream& words) {
  std::vector<T> values;
  for (T value; words >> value;) values.push_back(value);
  if (!words.eof())
    throw minnorm::InputError("request: expected numbers after the verb, got something else");
  return values;
}

std::string answer(Model& model, const std::string& request) {
  std::istringstream words(request);
  std::string verb;
  words >> verb;
  if (verb == "forget") {
    model.forget(rest_of<minnorm::Handle>(words));
    return json(model.certificate());
  }
  if (verb == "certify") return json(model.certificate());
  if (verb == "predict") {
    const std::vector<double> x = rest_of<double>(words);
    const Eigen::Map<const minnorm::RowMatrix<double>> input(x.data(), 1, minnorm::Index(x.size()));
    return "{\"prediction\": " + number(model.predict(input)(0, 0)) + "}";
  }
  throw minnorm::InputError("request: expected forget, certify or predict, got '" + verb + "'");
}

}  // namespace

int main() {
  Model model;
  model.fit(minnorm::RowMatrix<double>::Random(50, 120), minnorm::RowMatrix<double>::Random(50, 1));
  model.reserve();  // deletions take no memory from the heap
  for (std::string request; std::getline(std::cin, request);) try {
      std::cout << answer(model, request) << std::endl;
    } catch (const minnorm::Error& error) {
      std::cout << "{\"error\": " << quoted(error.what()) << "}" << std::endl;
    }
}
