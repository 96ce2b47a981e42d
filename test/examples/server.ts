// A server in a program of one's own, and a client of it. The node program is that of a checkout, or of --kvnode.
import { KvClient, startServer } from 'kvorum'

const [data = './data', kvnode] = process.argv.slice(2)
const server = await startServer({ data, kvnode, port: 0, shards: 1, replicas: 1 })
const kv = await KvClient.connect({ endpoints: [server.address] })
await kv.put('k', 'v')
console.log((await kv.get('k'))?.text()) // v
await kv.close()
await server.close()
