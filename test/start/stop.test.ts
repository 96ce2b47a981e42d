// How an orderly stop looks to whoever reads what it leaves behind.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'

let cluster: Cluster | undefined
afterEach(() => cluster?.dispose())

/** What each node logged from the moment when it was told to stop, by the node's directory. */
function endings(data: string): Map<string, string[]> {
  const logs = readdirSync(data, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('node.log'))
  return new Map(
    logs.map((path) => {
      const lines = readFileSync(join(data, path), 'utf8').trimEnd().split('\n')
      return [path, lines.slice(lines.findIndex((line) => line.includes('"msg":"stopping"')))]
    }),
  )
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s: the last word says where the data is, and no node complains that others hang up',
  async (how) => {
    cluster = await Cluster.start()
    const client = new RequestWrapper(cluster.address)
    try {
      await Promise.all(Array.from({ length: 30 }, (_, index) => client.put(`k${index}`, 'v')))
    } finally {
      client.close()
    }
    expect(await cluster.stop(how)).toEqual({ code: 0, signal: null })
    expect(cluster.processes()).toEqual([])
    expect(cluster.orchestrator.stderr.split('\n').at(-1)).toBe(`kvorum stopped; data is in ${cluster.data}`)
    const logs = endings(cluster.data)
    expect(logs.size).toBe(12)
    for (const [path, lines] of logs) {
      expect(lines[0], path).toContain('"msg":"stopping"')
      expect(lines.filter((line) => line.includes('"level":"ERROR"')).join('\n'), path).toBe('')
    }
  },
)
