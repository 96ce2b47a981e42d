// Many operations at once, each with a result of its own: they travel together, and are no transaction.
import { type BatchResult, KvClient, KvError } from 'kvorum/client'

const kv = await KvClient.connect({ endpoints: [process.argv[2] ?? 'localhost:7000'] })

const [put, sum, refused] = await kv.batch().put('a', 'x').increment('n', 5n).put('b', 'y', { ifVersion: 99n }).run()
console.log(put instanceof KvError ? put.code : 'stored', sum) // stored 5n
console.log(refused instanceof KvError ? `${refused.code}, ${refused.outcome}` : 'stored') // PRECONDITION_FAILED, not-applied

const all = kv.batch<BatchResult[]>()
for (const key of ['a', 'n', 'b']) all.delete(key)
console.log((await all.run()).length) // 3
await kv.close()
