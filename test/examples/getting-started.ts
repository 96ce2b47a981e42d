// Put, get, conditions, delete. Run it with the address of a gateway: node getting-started.js localhost:7000
import { KvClient, PreconditionFailedError } from 'kvorum/client'

const kv = await KvClient.connect({ endpoints: [process.argv[2] ?? 'localhost:7000'] })

await kv.put('user:1', 'Ada')
const hit = await kv.get('user:1')
console.log(hit?.text()) // Ada

// Only if nobody has written since: a version is never given twice.
if (hit) await kv.put('user:1', 'Ada Lovelace', { ifVersion: hit.version })
try {
  await kv.put('user:1', 'somebody else', { ifAbsent: true })
} catch (error) {
  if (!(error instanceof PreconditionFailedError)) throw error
  console.log(error.message) // the key is there already, with version ...
}

const { existed } = await kv.delete('user:1')
console.log(existed, await kv.get('user:1')) // true null
await kv.close()
