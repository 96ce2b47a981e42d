import Table from 'cli-table3'
import type { Traffic } from './traffic.js'

/** How long the calls of each phase took. */
export function latencies({ phases }: Traffic): string {
  const head = ['', 'calls a second', 'failed', 'p50, ms', 'p99', 'p99.9', 'worst']
  const table = new Table({ head, style: { head: [], border: [] } })
  for (const { name, ms, latency, failed } of phases) {
    const times = [latency.percentile(50), latency.percentile(99), latency.percentile(99.9), latency.maxMs]
    table.push([name, Math.round((latency.count / ms) * 1_000), failed, ...times.map((one) => one.toFixed(1))])
  }
  return table.toString()
}
