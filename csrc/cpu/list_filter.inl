// Included once for each instruction set and width of an entry, ENTRY. `hash` prepares up to 32
// entries, and `listed` has a bit for each that may be in a list.

inline void probe_rows(const std::vector<ProbedLists>& graphs, const ENTRY* entries, index_t width,
                       index_t first, index_t stop, const ListFilter* const* filters, int shift,
                       std::uint32_t* found, index_t* counts) {
  for (index_t i = first; i < stop; ++i, ++filters) {
    for (const ProbedLists& graph : graphs) {
      const ENTRY* row = entries;
      entries += width;
      for (index_t lane = 0; lane < graph.k; lane += kProbedLanes) {
        const Hashed hashed = hash(row + lane, std::min(kProbedLanes, graph.k - lane), shift);
        for (const ProbedLists::Pair& pair : graph.pairs) {
          std::uint32_t hits = listed(hashed, (*filters)[pair.filter]);
          for (; hits; hits &= hits - 1) {
            found[pair.number * kFoundStride + counts[pair.number]++] =
                static_cast<std::uint32_t>(i * kLongestFiltered + lane + std::countr_zero(hits));
          }
        }
      }
    }
  }
}
