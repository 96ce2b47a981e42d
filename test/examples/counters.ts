// A counter that many count on at once: each increment happens once, whatever has to be sent again.
import { KvClient } from 'kvorum/client'

const kv = await KvClient.connect({ endpoints: [process.argv[2] ?? 'localhost:7000'] })

await kv.delete('visits')
const sums = await Promise.all(Array.from({ length: 100 }, () => kv.increment('visits')))
console.log(new Set(sums).size) // 100: each caller has a sum of its own

console.log(await kv.increment('visits', -50n)) // 50n
console.log((await kv.get('visits'))?.text()) // 50: a number is its decimal text
await kv.delete('visits')
await kv.close()
