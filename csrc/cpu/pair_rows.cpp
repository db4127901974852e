// pair_rows on the CPU: per entry of rows by columns and set 2 d flops of a product, per channel an
// epilogue and per pair of channels a multiply-add, from the caches. Columns are packed as they
// come, once for all rows: 10 flops per feature, and the only reads of X.

#include "ops/pair_rows.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <type_traits>

#include "common/blas.hpp"
#include "cpu/exact.hpp"
#include "cpu/moved_rows.hpp"
#include "cpu/pair_functions.hpp"
#include "cpu/panels.hpp"

namespace consilience {
namespace {

// Whole panels and lanes of every micro-kernel: a row's products are added up in 15 or less before
// they enter float64.
constexpr index_t kBlockCols = 240;
// Columns that are packed at a time: few enough to stay in a cache, many enough for threads.
constexpr index_t kLeastChunk = 4 * kBlockCols, kMostChunk = 16 * kBlockCols;
constexpr index_t kChunkEntries = index_t{1} << 24;

template <class Real>
constexpr index_t kBlockRows = sizeof(Real) == 4 ? 24 : 96;  // the latter for BLAS
template <class Real>
constexpr index_t kArea = kBlockRows<Real> * kBlockCols;
// Beyond, squares leave the range of the tiles.
template <class Real>
constexpr double kMostNorm2 = sizeof(Real) == 4 ? 0x1p120 : 0x1p1000;

index_t chunk_of(index_t total_features) {
  const index_t fitting = kChunkEntries / total_features / kBlockCols * kBlockCols;
  return std::clamp(fitting, kLeastChunk, kMostChunk);
}

// Where a set is seen from: the references alone say so, so that no row hangs on the others.
struct Frame {
  std::vector<double> origin;
  double scale = 1.0;

  template <class Real>
  double move(const Embedding& X, index_t i, Real* to) const {
    return move_row(X, i, origin.data(), scale, to);
  }
};

Frame frame_of(const Embedding& X, const index_t* references, index_t n_references) {
  const index_t d = X.n_features;
  Frame frame{std::vector<double>(d, 0.0)};
  std::vector<double> row(d), mean(d, 0.0);
  for (index_t r = 0; r < n_references; ++r) {
    frame.move(X, references[r], row.data());
    for (index_t f = 0; f < d; ++f) mean[f] += row[f] / static_cast<double>(n_references);
  }
  frame.origin = mean;
  double longest = 0.0;
  for (index_t r = 0; r < n_references; ++r) {
    longest = std::max(longest, frame.move(X, references[r], row.data()));
  }
  if (longest > 0.0) frame.scale = std::ldexp(1.0, -std::ilogb(std::sqrt(longest)));
  return frame;
}

// Some samples of a set, as one side of a product.
template <class Real>
class Side {
 public:
  Side(const Embedding& X, index_t capacity) : X_(&X), norms_(capacity), samples_(capacity) {
    if constexpr (kPacked) {
      panels_ = std::make_unique<Panels>(capacity, X.n_features);
    } else {
      rows_.resize(capacity * X.n_features);
    }
  }

  // Puts `count` samples in the places from `first` on, a multiple of four; buffer: (4, d).
  template <class Sample>
  void put(index_t first, index_t count, Sample&& sample, const Frame& frame, Real* buffer) {
    const index_t d = X_->n_features;
    for (index_t i = first; i < first + count; ++i) {
      samples_[i] = sample(i);
      Real* to = kPacked ? buffer + (i - first) % 4 * d : rows_.data() + i * d;
      const double norm2 = frame.move(*X_, samples_[i], to);
      if (!(norm2 < kMostNorm2<Real>)) {
        throw std::overflow_error("rows are too far apart for these tiles");
      }
      norms_[i] = static_cast<Real>(norm2);
      if constexpr (kPacked) {
        if ((i - first) % 4 == 3) {
          const Real* const values[4] = {buffer, buffer + d, buffer + 2 * d, buffer + 3 * d};
          panels_->set_four(i - 3, values);
        } else if (i + 1 == first + count) {
          for (index_t t = first + (i - first) / 4 * 4; t <= i; ++t) {
            panels_->set_row(t, buffer + (t - first) % 4 * d, d);
          }
        }
      }
    }
  }

  const Real* norms(index_t i) const { return norms_.data() + i; }
  index_t sample(index_t i) const { return samples_[i]; }

  // Squared distances of these from `i` on and of those from `j` on, in units of the scale.
  void squares(index_t i, const Side& columns, index_t j, double scale,
               const Block<Real>& block) const {
    if constexpr (kPacked) {
      const MicroKernel& kernel = micro_kernel();
      for (index_t c = 0; c < block.n_cols; c += kernel.cols) {
        for (index_t r = 0; r < block.n_rows; r += kernel.rows) {
          kernel.multiply(panels_->row(i + r), columns.panels_->row(j + c), panels_->depth(), false,
                          block.row(r) + c, block.stride);
        }
      }
    } else {
      const index_t d = X_->n_features;
      blas::gemm_nt(block.n_rows, block.n_cols, d, rows_.data() + i * d, d,
                    columns.rows_.data() + j * d, d, block.entries, block.stride);
    }
    if (squared_distances(block, norms(i), columns.norms(j))) {
      repair_near(i, columns, j, scale, block);
    }
  }

 private:
  static constexpr bool kPacked = std::is_same_v<Real, float>;

  // Near pairs, where the expansion cancels, from differences.
  void repair_near(index_t i, const Side& columns, index_t j, double scale,
                   const Block<Real>& block) const {
    for (index_t r = 0; r < block.n_rows; ++r) {
      const index_t a = samples_[i + r];
      for (index_t c = 0; c < block.n_cols; ++c) {
        Real& square = block.row(r)[c];
        if (!(square < near_share<Real>() * (norms_[i + r] + columns.norms_[j + c]))) continue;
        const index_t b = columns.samples_[j + c];
        square = a == b ? 0 : static_cast<Real>(scale * scale * squared_distance(*X_, a, b));
      }
    }
  }

  const Embedding* X_;
  std::vector<Real> norms_;
  std::vector<index_t> samples_;
  std::unique_ptr<Panels> panels_;  // float32
  std::vector<Real> rows_;          // float64
};

// One X and its channels.
template <class Real>
struct Set {
  Embedding X;
  Frame frame;
  std::vector<index_t> channels;
  Side<Real> references, rows, columns;

  Set(const Embedding& of, const PairRowsRequest& request, index_t chunk)
      : X(of),
        frame(frame_of(of, request.references, request.n_references)),
        references(X, request.n_references),
        rows(X, request.n_rows),
        columns(X, chunk) {}
  Set(const Set&) = delete;  // sides point to X

  bool same_rows(const Embedding& other) const {
    return X.data == other.data && X.is_double == other.is_double &&
           X.n_features == other.n_features;
  }
};

template <class Real>
class Sweep {
 public:
  Sweep(const std::vector<Channel>& channels, const PairRowsRequest& request, const Run& run)
      : channels_(channels),
        request_(request),
        run_(run),
        n_(channels[0].X.n_samples),
        n_rows_(request.n_rows),
        half_means_(channels.size(), 0.0),
        column_offsets_(channels.size()) {
    std::vector<const Embedding*> unlike;
    index_t total_features = 0, most_features = 0;
    for (std::size_t c = 0; c < channels.size(); ++c) {
      const Embedding& X = channels[c].X;
      const bool known = std::any_of(unlike.begin(), unlike.end(), [&](const Embedding* other) {
        return other->data == X.data && other->is_double == X.is_double &&
               other->n_features == X.n_features;
      });
      if (known) continue;
      unlike.push_back(&X);
      total_features += X.n_features;
      most_features = std::max(most_features, X.n_features);
    }
    chunk_ = chunk_of(total_features);
    for (const Embedding* X : unlike) {
      sets_.push_back(std::make_unique<Set<Real>>(*X, request, std::min(n_, chunk_)));
      for (std::size_t c = 0; c < channels.size(); ++c) {
        if (sets_.back()->same_rows(channels[c].X)) {
          sets_.back()->channels.push_back(static_cast<index_t>(c));
        }
      }
    }
    for (std::vector<Real>& offsets : column_offsets_) offsets.resize(std::min(n_, chunk_));
    room_.assign(run.n_threads, std::vector<Real>((size() + 1) * kArea<Real>));
    buffers_.assign(run.n_threads, std::vector<Real>(4 * most_features));
  }

  PairRowsTerms operator()() {
    terms_.row_sums.assign(size() * n_rows_, 0.0);
    terms_.products.assign(request_.pairs.size() * n_rows_, 0.0);
    row_offsets_.assign(size(), std::vector<Real>(n_rows_));
    prepare_rows();
    for (index_t first = 0; first < n_; first += chunk_) {
      const index_t count = std::min(chunk_, n_ - first);
      prepare_columns(first, count);
      const index_t n_blocks = (n_rows_ + kBlockRows<Real> - 1) / kBlockRows<Real>;
      parallel_for(n_blocks, run_, [&](index_t task, int worker) {
        const index_t row = task * kBlockRows<Real>;
        for (index_t column = 0; column < count; column += kBlockCols) {
          add(row, column, std::min(kBlockCols, count - column), room_[worker].data());
        }
      });
    }
    for (const std::vector<Real>& offsets : row_offsets_) {
      terms_.offsets.insert(terms_.offsets.end(), offsets.begin(), offsets.end());
    }
    return std::move(terms_);
  }

 private:
  index_t size() const { return static_cast<index_t>(channels_.size()); }

  // References first: the offsets of all others are about them.
  void prepare_rows() {
    const index_t n_references = request_.n_references;
    for (const std::unique_ptr<Set<Real>>& set : sets_) {
      set->references.put(
          0, n_references, [&](index_t r) { return request_.references[r]; }, set->frame,
          buffers_[0].data());
      for (const index_t c : set->channels) {
        double total = 0.0;
        for (index_t first = 0; first < n_references; first += kBlockCols) {
          const index_t count = std::min(kBlockCols, n_references - first);
          Real means[kBlockCols];
          add_means(*set, set->references, first, count, c, room_[0].data(), means);
          for (index_t j = 0; j < count; ++j) total += static_cast<double>(means[j]);
        }
        half_means_[c] = 0.5 * total / static_cast<double>(n_references);
      }
    }
    const index_t pieces = (n_rows_ + kBlockCols - 1) / kBlockCols;
    parallel_for(static_cast<index_t>(sets_.size()) * pieces, run_, [&](index_t task, int worker) {
      Set<Real>& set = *sets_[task / pieces];
      const index_t first = task % pieces * kBlockCols;
      const index_t count = std::min(kBlockCols, n_rows_ - first);
      set.rows.put(
          first, count, [&](index_t i) { return request_.rows[i]; }, set.frame,
          buffers_[worker].data());
      for (const index_t c : set.channels) {
        add_means(set, set.rows, first, count, c, room_[worker].data(),
                  row_offsets_[c].data() + first);
      }
    });
  }

  void prepare_columns(index_t start, index_t n_columns) {
    const index_t pieces = (n_columns + kBlockCols - 1) / kBlockCols;
    parallel_for(static_cast<index_t>(sets_.size()) * pieces, run_, [&](index_t task, int worker) {
      Set<Real>& set = *sets_[task / pieces];
      const index_t first = task % pieces * kBlockCols;
      const index_t count = std::min(kBlockCols, n_columns - first);
      set.columns.put(
          first, count, [&](index_t j) { return start + j; }, set.frame, buffers_[worker].data());
      for (const index_t c : set.channels) {
        add_means(set, set.columns, first, count, c, room_[worker].data(),
                  column_offsets_[c].data() + first);
      }
    });
  }

  // means[j] = the mean of f_c(r, j) over the other references, less half their own mean.
  void add_means(const Set<Real>& set, const Side<Real>& columns, index_t first, index_t count,
                 index_t c, Real* room, Real* means) {
    const index_t n_references = request_.n_references;
    double sums[kBlockCols] = {}, of_rows[kBlockRows<Real>];
    const Real zeros[kBlockCols] = {};
    for (index_t r = 0; r < n_references; r += kBlockRows<Real>) {
      const Block<Real> squares{room, std::min(kBlockRows<Real>, n_references - r), count,
                                kBlockCols};
      const Block<Real> values{room + kArea<Real>, squares.n_rows, count, kBlockCols};
      set.references.squares(r, columns, first, set.frame.scale, squares);
      values_about(channels_[c].function, squares, 1.0 / set.frame.scale, channels_[c].gamma, zeros,
                   zeros, values.entries);
      std::fill_n(of_rows, values.n_rows, 0.0);
      add_sums(values, of_rows, sums);
    }
    const index_t* last = request_.references + n_references;
    const double own = channels_[c].function == PairFunction::rbf ? 1.0 : 0.0;
    for (index_t j = 0; j < count; ++j) {
      const bool among = std::binary_search(request_.references, last, columns.sample(first + j));
      const double sum = among ? sums[j] - own : sums[j];
      const auto others = static_cast<double>(among ? n_references - 1 : n_references);
      means[j] = static_cast<Real>(sum / others - half_means_[c]);
    }
  }

  // One block of all channels.
  void add(index_t row, index_t column, index_t n_columns, Real* room) {
    const index_t n_block = std::min(kBlockRows<Real>, n_rows_ - row);
    for (const std::unique_ptr<Set<Real>>& set : sets_) {
      // Squared distances stand where the set's last channel will.
      const Block<Real> squares{room + set->channels.back() * kArea<Real>, n_block, n_columns,
                                kBlockCols};
      set->rows.squares(row, set->columns, column, set->frame.scale, squares);
      for (const index_t c : set->channels) {
        const Block<Real> values{room + c * kArea<Real>, n_block, n_columns, kBlockCols};
        values_about(channels_[c].function, squares, 1.0 / set->frame.scale, channels_[c].gamma,
                     row_offsets_[c].data() + row, column_offsets_[c].data() + column,
                     values.entries);
        leave_out_self(*set, row, column, values);
        add_sums(values, terms_.row_sums.data() + c * n_rows_ + row, nullptr);
      }
    }
    for (std::size_t p = 0; p < request_.pairs.size(); ++p) {
      const auto& [a, b] = request_.pairs[p];
      const Block<Real> block{room + a * kArea<Real>, n_block, n_columns, kBlockCols};
      add_row_products(block, room + b * kArea<Real>,
                       terms_.products.data() + static_cast<index_t>(p) * n_rows_ + row);
    }
  }

  void leave_out_self(const Set<Real>& set, index_t row, index_t column,
                      const Block<Real>& values) const {
    const index_t first = set.columns.sample(column);
    for (index_t i = 0; i < values.n_rows; ++i) {
      const index_t own = request_.rows[row + i] - first;
      if (0 <= own && own < values.n_cols) values.row(i)[own] = 0;
    }
  }

  const std::vector<Channel>& channels_;
  const PairRowsRequest& request_;
  const Run& run_;
  index_t n_, n_rows_, chunk_;
  std::vector<std::unique_ptr<Set<Real>>> sets_;
  std::vector<double> half_means_;
  std::vector<std::vector<Real>> row_offsets_, column_offsets_;
  std::vector<std::vector<Real>> room_, buffers_;  // of each worker
  PairRowsTerms terms_;
};

}  // namespace

PairRowsTerms pair_rows(const std::vector<Channel>& channels, const PairRowsRequest& request,
                        const Run& run) {
  assert(!channels.empty() && request.n_rows > 0 && request.n_references > 1);
  return request.double_tiles ? Sweep<double>(channels, request, run)()
                              : Sweep<float>(channels, request, run)();
}

index_t pair_rows_bytes(index_t n_rows, index_t n_references, index_t total_features,
                        index_t n_sets, index_t n_channels, index_t n_pairs, bool double_tiles,
                        int n_threads) {
  const index_t real = double_tiles ? 8 : 4;
  const index_t area = double_tiles ? kArea<double> : kArea<float>;
  const index_t samples = n_rows + n_references + chunk_of(total_features) + 3 * kBlockCols;
  return samples * (total_features + 4 * n_sets + n_channels) * real +
         n_rows * 8 * (2 * n_channels + n_pairs) +
         n_threads * ((n_channels + 1) * area + 4 * total_features) * real;
}

}  // namespace consilience
