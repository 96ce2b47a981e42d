import { defineConfig } from 'vitest/config'

// Two projects. `unit` tests sit beside their source and run in parallel. `cross` starts real clusters: one file at a
// time, because a busy machine would make elections and time-outs the thing under test.
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
      {
        test: {
          name: 'cross',
          include: ['test/**/*.test.{ts,mjs}'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          teardownTimeout: 30_000,
        },
      },
    ],
  },
})
