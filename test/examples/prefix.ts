// Every key with a prefix is deleted, as work of the cluster's own. Run it with the address of a gateway: node prefix.js localhost:7000
import { KvClient } from 'kvorum/client'

const kv = await KvClient.connect({ endpoints: [process.argv[2] ?? 'localhost:7000'] })

for (const visit of ['1', '2', '3']) await kv.put(`session:ada:${visit}`, 'a page')
await kv.put('session:bob:1', 'a page')

// Goes on, whatever becomes of this program; { detach: true } waits for its beginning only.
const { state, deleted } = await kv.deletePrefix('session:ada:')
console.log(state, deleted) // done 3
console.log(await kv.count({ prefix: 'session:' })) // 1
await kv.delete('session:bob:1')
await kv.close()
