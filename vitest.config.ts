import { defineConfig } from 'vitest/config'

// Three projects. `unit` tests sit beside their source and run in parallel. The others start real clusters: `surface` looks
// at what users touch, two files at a time, of a cluster that is well or has a proxy's faults only; `cross` kills, cuts off
// and moves, one file at a time, because a busy machine would make elections and time-outs the thing under test.
const SURFACE = [
  'test/{api,compat,examples,http,mutations,sanity,start}/**/*.test.{ts,mjs}',
  'test/failures/outcomes.test.ts',
]

const CLUSTERS = { testTimeout: 120_000, hookTimeout: 120_000, teardownTimeout: 30_000 }

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['orchestrator/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'],
          testTimeout: 20_000,
          // Most of them wait for clocks more than they compute; by default two processors get one worker.
          maxWorkers: 2,
        },
      },
      { test: { name: 'surface', include: SURFACE, maxWorkers: 2, ...CLUSTERS } },
      {
        test: {
          name: 'cross',
          include: ['test/**/*.test.{ts,mjs}'],
          exclude: SURFACE,
          fileParallelism: false,
          ...CLUSTERS,
        },
      },
    ],
  },
})
