// Takes Curfew's webhooks and prints one line for each. Needs Node and standardwebhooks.
//   SECRET=whsec_… LISTEN=8090 node webhook.mjs
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'

const webhook = new Webhook(process.env.SECRET)
// The same message may come twice: remember ids for a day, in your database if you have one.
const seen = new Set()

const server = createServer((request, response) => {
  text(request).then(
    (body) => take(body, request, response),
    () => response.destroy(), // it broke off, and will come again
  )
})
server.listen(process.env.LISTEN ?? 8090)

function take(body, request, response) {
  let event
  try {
    // Over the bytes as they came. Also refuses what was signed more than five minutes ago.
    event = webhook.verify(body, request.headers)
  } catch {
    response.writeHead(401).end('not from the gateway\n')
    return
  }
  const id = request.headers['webhook-id']
  if (!seen.has(id)) {
    seen.add(id)
    process.stdout.write(`${event.timestamp} ${event.type} ${event.data.request?.id ?? event.data.grant?.id ?? ''}\n`)
  }
  // Any 2xx: it is yours now. Do long work afterwards.
  response.writeHead(204).end()
}
