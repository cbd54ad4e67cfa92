// The seed search for a GPU. A thread tests several seeds side by side, and keeps nothing in memory
// meanwhile: the words that an output is made of, `head` and the one 397 further on, `tail`, walk
// the initialisation together, and each output is tested as it comes. That walks the window twice
// (4 to 64 steps more beside 397), and saves 500 bytes a seed.
//
// The price is that of the CPU's kernels (seed_kernel.h): a shift, a xor and a multiply-add a step.
#include "hints/cuda_seed_input.h"

namespace stokefs::hints {

extern "C" {
__constant__ CudaSeedCondition cuda_seed_conditions[kFilterConditionsMax];
}

namespace {

using Words = uint32_t[kCudaSeedsAThread];

__device__ void Advance(Words& words, uint32_t& index, uint32_t skipped) {
#pragma unroll 8
  for (uint32_t i = 0; i < skipped; ++i) {
    ++index;
#pragma unroll
    for (uint32_t& x : words) x = (x ^ (x >> 30)) * 1812433253u + index;
  }
}

__device__ uint32_t Output(uint32_t head, uint32_t next_head, uint32_t tail) {
  uint32_t const y = (head & 0x80000000u) | (next_head & 0x7fffffffu);
  uint32_t word = tail ^ (y >> 1) ^ ((0u - (y & 1u)) & 0x9908b0dfu);
  word ^= word >> 11;
  word ^= (word << 7) & 0x9d2c5680u;
  word ^= (word << 15) & 0xefc60000u;
  return word ^ (word >> 18);
}

__device__ bool Holds(const CudaSeedCondition& condition, uint32_t output) {
  uint32_t const quotient = (output - condition.remainder) * condition.inverse;
  return __funnelshift_r(quotient, quotient, condition.rotation) <= condition.limit;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kCudaThreadsABlock)
    CudaSeedScan(CudaSeedInput input, uint32_t* passed_count, uint32_t* passed) {
  Words head, tail;
  CudaGroups groups[kCudaSeedsAThread];
  uint32_t const first_seed = input.first_seed + blockIdx.x * kCudaSeedsABlock + threadIdx.x;
#pragma unroll
  for (uint32_t s = 0; s < kCudaSeedsAThread; ++s) {
    head[s] = first_seed + s * kCudaThreadsABlock;
    groups[s] = input.groups;
  }
  uint32_t head_index = 0;
  Advance(head, head_index, input.first_output);
#pragma unroll
  for (uint32_t s = 0; s < kCudaSeedsAThread; ++s) tail[s] = head[s];
  uint32_t tail_index = head_index;
  Advance(tail, tail_index, 397);

  uint32_t at = 0;
  for (uint32_t k = 0; k < input.window_count; ++k) {
    Words outputs;
#pragma unroll
    for (uint32_t s = 0; s < kCudaSeedsAThread; ++s) outputs[s] = head[s];
    Advance(head, head_index, 1);
#pragma unroll
    for (uint32_t s = 0; s < kCudaSeedsAThread; ++s)
      outputs[s] = Output(outputs[s], head[s], tail[s]);
    Advance(tail, tail_index, 1);
    for (; at < input.condition_count && cuda_seed_conditions[at].window_index == k; ++at) {
      auto const& tested = cuda_seed_conditions[at];
#pragma unroll
      for (uint32_t s = 0; s < kCudaSeedsAThread; ++s) {
        uint32_t const holds = Holds(tested, outputs[s]) ? ~0u : 0u;
#pragma unroll
        for (uint32_t w = 0; w < kGroupWords; ++w)
          groups[s].words[w] &= holds | tested.others.words[w];
      }
    }
  }

#pragma unroll
  for (uint32_t s = 0; s < kCudaSeedsAThread; ++s) {
    uint32_t any = 0;
#pragma unroll
    for (uint32_t const word : groups[s].words) any |= word;
    if (any == 0) continue;
    uint32_t const slot = atomicAdd(passed_count, 1u);
    if (slot < input.passed_max) passed[slot] = first_seed + s * kCudaThreadsABlock;
  }
}

}  // namespace stokefs::hints
