/**
 * One agent in a process of its own: `writer-child.ts SOCKET COUNT LABEL` asks for COUNT memories to be learned, all at
 * once, and prints the id of each that was acknowledged. The door takes a bounded number of requests a connection, so it
 * uses as many connections as it needs.
 */
import '../../src/polyfill.ts'
import { LIMITS } from '../../src/base/limits.ts'
import { connect } from '../../src/rpc/client.ts'

const [socket = '', count = '0', label = ''] = process.argv.slice(2)
const writes = Number(count)
const connections = Math.ceil(writes / LIMITS.rpcInFlightMax)
const clients = await Promise.all(Array.from({ length: connections }, () => connect(socket)))
const share = Math.ceil(writes / connections)
const ids = await Promise.all(
  Array.from({ length: writes }, async (_, n) => {
    const client = clients[Math.floor(n / share)]
    if (client === undefined) throw new Error('every write has its connection')
    return (await client.learn(`${label} learned thing number ${n}`)).id
  })
)
for (const id of ids) process.stdout.write(`${id}\n`)
for (const client of clients) await client.close()
