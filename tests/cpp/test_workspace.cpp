// Memory that is used again: pieces do not overlap or move, frames give back what was taken
// in them, and nothing of what was written stays.
#include "minnorm/workspace.hpp"

#include <gtest/gtest.h>

#include "minnorm/kept_storage.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 64 == 0; }

TEST(Workspace, PiecesAreApartAndStayInPlace) {
  Sampler sampler(1);
  for (const std::size_t reserved : {std::size_t(0), std::size_t(100), std::size_t(1) << 20}) {
    Workspace space;
    if (reserved > 0) space.reserve(reserved);
    const Workspace::Frame frame(space, 1000);
    std::vector<std::pair<double*, Index>> pieces;
    for (int k = 0; k < 50; ++k) {
      const Index n = sampler.below(400) + 1;
      double* piece = space.take<double>(n);
      EXPECT_TRUE(aligned(piece));
      std::fill_n(piece, n, k);
      pieces.emplace_back(piece, n);
    }
    for (std::size_t k = 0; k < pieces.size(); ++k)
      for (Index i = 0; i < pieces[k].second; ++i)
        ASSERT_EQ(pieces[k].first[i], static_cast<double>(k));
  }
}

TEST(Workspace, FramesGiveBackAndOverwrite) {
  Workspace space;
  space.reserve(Workspace::bytes<double>(100) + Workspace::bytes<float>(7));
  const Workspace::Frame outer(space);
  double* kept = space.take<double>(50);
  std::fill_n(kept, 50, 1.0);
  double* first;
  {
    const Workspace::Frame inner(space);
    first = space.take<double>(40);
    std::fill_n(first, 40, 2.0);
    double* beyond = space.take<double>(1000);  // more than is kept
    std::fill_n(beyond, 1000, 3.0);
  }
  const Workspace::Frame inner(space);
  double* second = space.take<double>(40);
  EXPECT_EQ(second, first);
  for (Index i = 0; i < 40; ++i) EXPECT_EQ(second[i], 0.0);
  for (Index i = 0; i < 50; ++i) EXPECT_EQ(kept[i], 1.0);
}

TEST(Workspace, ShapesAndEmptyPieces) {
  Workspace space;
  const Workspace::Frame frame(space);
  auto A = space.matrix<float>(3, 5);
  auto B = space.row_matrix<double>(5, 3);
  A.setOnes();
  B.setOnes();
  EXPECT_EQ((A.cast<double>() * B)(2, 2), 5);
  EXPECT_EQ(space.vector<double>(0).size(), 0);
  EXPECT_EQ(space.matrix<double>(0, 4).cols(), 4);
}

TEST(KeptStorage, KeepsNothingOfWhatIsDropped) {
  Sampler sampler(2);
  const RowMatrix<double> values = sampler.gaussian(9, 4);
  KeptStorage<RowMatrix<double>> rows(values);
  const double* data = rows.view().data();
  rows.keep_first(6);
  EXPECT_EQ(rows.view(), values.topRows(6));
  for (Index i = 6 * 4; i < 9 * 4; ++i) EXPECT_EQ(data[i], 0.0);
  const KeptStorage<RowMatrix<double>> copy = rows;
  EXPECT_EQ(copy.view(), rows.view());
  EXPECT_NE(copy.view().data(), data);
  rows.set_zero(2, 12);  // another shape, no larger
  EXPECT_EQ(rows.view().data(), data);
  EXPECT_EQ(rows.view().norm(), 0);

  KeptStorage<Matrix<float>> columns(Matrix<float>(sampler.gaussian<float>(3, 8)));
  const Matrix<float> first = columns.view().leftCols(2);
  columns.keep_first(2);
  EXPECT_EQ(columns.view(), first);
  EXPECT_EQ(KeptStorage<Vector<double>>().size(), 0);
}

}  // namespace
}  // namespace minnorm::test
