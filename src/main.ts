#!/usr/bin/env node
// Where `curfew` begins. It says in words when this Node is too old to read the rest.
const nodeMajorMin = 26

if (Number(process.versions.node.split('.')[0]) < nodeMajorMin) {
  process.stderr.write(`curfew: Node ${nodeMajorMin} or newer is needed; this is ${process.versions.node}\n`)
  process.exitCode = 1
} else {
  const { makeThreads } = await import('./config/threads.ts')
  makeThreads()
  // A reader that has seen enough (`curfew audit tail | head`) is no failure.
  process.stdout.on('error', (error: Error & { code?: string }) => {
    if (error.code === 'EPIPE') process.exit(0)
    process.stderr.write(`curfew: the output could not be written: ${error.message}\n`)
    process.exit(1)
  })
  process.stderr.on('error', () => undefined) // there is no other place to say it
  const { runCli } = await import('./cli/program.ts')
  process.exitCode = await runCli(process.argv.slice(2))
}

export {}
