import type { FakeCluster } from '../../client/testing/fake-cluster.js'
import type { Operation, Result } from '../../core/operation.js'
import type { KvError } from '../../errors/index.js'

const PAGE_ENTRIES = 50

/** Has the leader give what it holds in pages, as a node does; `refuse` may fail an operation. */
export function servePages(
  cluster: FakeCluster,
  refuse: (operation: Operation) => KvError | undefined = () => undefined,
) {
  const { leader } = cluster
  leader.answer = (operation) => refuse(operation) ?? answer(cluster, operation)
}

function answer(cluster: FakeCluster, operation: Operation): Result | KvError {
  if (operation.kind !== 'page') return cluster.leader.execute(operation)
  const [from, to] = [operation.from, operation.to].map((key) => Buffer.from(key).toString('latin1')) as [
    string,
    string,
  ]
  const names = [...cluster.rows.keys()].sort().filter((name) => name >= from && (to === '' || name < to))
  if (operation.content === 'count') return { kind: 'page', entries: [], count: names.length, next: undefined }
  const entries = names.slice(0, PAGE_ENTRIES).map((name) => {
    const { value, version } = cluster.rows.get(name) as { value: Uint8Array; version: bigint }
    return { key: Buffer.from(name, 'latin1'), value: operation.content === 'keys' ? Buffer.alloc(0) : value, version }
  })
  const next = names[PAGE_ENTRIES]
  return { kind: 'page', entries, count: 0, next: next === undefined ? undefined : Buffer.from(next, 'latin1') }
}
