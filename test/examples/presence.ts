// Who is here: each worker's keys belong to a lease that it keeps alive, and are gone when it is.
import { KvClient } from 'kvorum/client'

const kv = await KvClient.connect({ endpoints: [process.argv[2] ?? 'localhost:7000'] })

const lease = await kv.lease.grant({ ttlMs: 10_000 })
const hold = lease.hold() // until it is stopped
hold.signal.addEventListener('abort', () => console.log('not here any more:', hold.signal.reason.code))
await kv.put('worker/1', 'host a', { lease })
await kv.put('task/7', 'worker 1', { lease })

console.log(await kv.count({ prefix: 'worker/' })) // 1
// Had the process died, both keys would be gone some 10 s later. This is the orderly way.
await hold.stop() // not here any more: CANCELLED
await lease.revoke()
console.log(await kv.get('worker/1'), await kv.get('task/7')) // null null
await kv.close()
