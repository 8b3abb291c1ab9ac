// Receives webhooks as an app does, and verifies them with the library that the
// specification offers for JavaScript. It says on stdout, one JSON object a line,
// where it listens, which secret it has, and what came of every request. A line on
// stdin is the secret from then on; the end of stdin ends it.
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { Webhook } from 'standardwebhooks'

const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
let secret = ''

const server = createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const report = { id: request.headers['webhook-id'], signatures: request.headers['webhook-signature'] }
  try {
    report.event = new Webhook(secret).verify(Buffer.concat(chunks), request.headers)
    report.status = 204
  } catch (error) {
    report.error = String(error)
    report.status = 400
  }
  response.writeHead(report.status).end()
  say(report)
})

server.listen(0, '127.0.0.1', () => say({ port: server.address().port }))
createInterface({ input: process.stdin })
  .on('line', (line) => {
    secret = line
    say({ secret: true })
  })
  .on('close', () => process.exit(0))
