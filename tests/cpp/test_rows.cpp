// rows.hpp: the same rows in every layout, whatever came and went; nothing left behind.
#include "minnorm/rows.hpp"

#include <gtest/gtest.h>

#include "asserts.hpp"
#include "samplers.hpp"

namespace minnorm::test {
namespace {

template <class S>
class RowsTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(RowsTest, Scalars);

// All memory of a buffer of n rows of p columns.
template <class S>
RowMatrix<S> memory_of(const typename Rows<S>::Block& block, Index n, Index p) {
  constexpr Index w = Rows<S>::panel_width;
  return Eigen::Map<const RowMatrix<S>>(block.data, block.panel > 0 ? (p + w - 1) / w : 1,
                                        block.panel > 0 ? n * w : n * p);
}

TYPED_TEST(RowsTest, HoldTheSameInEveryLayout) {
  using S = TypeParam;
  constexpr Index w = Rows<S>::panel_width;
  Sampler sampler(1);
  for (const bool in_panels : {false, true})
    for (const Index p : {Index(1), w - 1, w, w + 1, 5 * w + 3})
      for (const Index n : {1, 2, 9, 40}) {
        RowMatrix<S> X = sampler.gaussian<S>(n, p);
        Rows<S> rows = in_panels ? Rows<S>::panels(X) : Rows<S>::copy(X);
        for (int step = 0; step < 6; ++step) {
          if (step % 2 == 0) {
            const RowMatrix<S> more = sampler.gaussian<S>(1 + step, p);
            // Handed over row-major, as a copy in the right layout, or borrowed.
            if (step == 0)
              rows.append(rows.copied(more));
            else
              rows.append(Rows<S>::copy(more).blocks().front());
            RowMatrix<S> all(X.rows() + more.rows(), p);
            all << X, more;
            X = all;
          } else {
            const Indices gone = sampler.subset(X.rows(), std::min<Index>(X.rows() - 1, step));
            rows.erase(gone);
            X = without_rows(X, gone);
          }
          EXPECT_EQ(rows.in_panels(), in_panels);
          EXPECT_TRUE(identical(rows.gathered(), X));
          EXPECT_TRUE(identical(Rows<S>(rows).gathered(), X));
          EXPECT_TRUE(identical(rows.borrowed().gathered(), X));
          Index seen = 0;
          rows.for_each_run({0, rows.size()}, [&](Index i, const auto& run, Index first) {
            EXPECT_TRUE(
                identical(RowMatrix<S>(run), RowMatrix<S>(X.row(i).segment(first, run.size()))));
            seen += run.size();
          });
          EXPECT_EQ(seen, X.size());
        }
      }
}

TYPED_TEST(RowsTest, ForgottenPlacesAndPaddingAreZero) {
  using S = TypeParam;
  constexpr Index w = Rows<S>::panel_width;
  Sampler sampler(2);
  for (const bool in_panels : {false, true})
    for (const Index p : {w - 5, 2 * w, 3 * w + 7}) {
      const RowMatrix<S> X = sampler.gaussian<S>(12, p);
      Rows<S> rows = in_panels ? Rows<S>::panels(X) : Rows<S>::copy(X);
      const auto block = rows.blocks().front();  // keeps the memory
      for (const Indices& gone : std::vector<Indices>{{11}, {0, 5}, {1, 2, 3, 4, 5, 6, 7}}) {
        const RowMatrix<S> before = rows.gathered();
        rows.erase(gone);
        EXPECT_TRUE(
            holds_none_of(memory_of<S>(block, 12, p), RowMatrix<S>(rows_of<S>(before, gone))));
        // Beyond what is held everything is zero, or would count as held.
        const RowMatrix<S> held = rows.gathered(), all = memory_of<S>(block, 12, p);
        EXPECT_EQ((all.array() != 0).count(), (held.array() != 0).count());
        EXPECT_TRUE(identical(held, without_rows(before, gone)));
      }
    }
}

TYPED_TEST(RowsTest, PiecesOfPanelsAreAlignedAndAdjacent) {
  using S = TypeParam;
  constexpr Index w = Rows<S>::panel_width;
  Sampler sampler(3);
  const auto rows = Rows<S>::panels(sampler.gaussian<S>(5, 2 * w + 1));
  for (Index i = 0; i < 5; ++i)
    for (Index k = 0; k < 3; ++k) {
      const S* piece = rows.place(i).piece(k);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece) % 256, 0u);
      EXPECT_EQ(piece - rows.place(0).piece(0), (k * 5 + i) * w);
    }
}

}  // namespace
}  // namespace minnorm::test
