import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import { Database, refusalOf } from './database.ts'
import type { Answer, ChangeRow, Command, Opening, Reply, WorkerOptions } from './messages.ts'
import { migrate, NewerSchema } from './migrate.ts'
import { WriteGroups } from './write-groups.ts'

// The entry of all worker threads: one writes; one only reads, so that a read never holds up a write; one searches, so that
// looking through whole tables never holds up a read that a connection waits for.

if (parentPort !== null) main(parentPort, workerData as WorkerOptions)

function main(port: MessagePort, { role, file }: WorkerOptions): void {
  try {
    const database = new Database(file, role === 'writer' ? 'write' : 'read')
    if (role === 'writer') migrate(database)
    const lastChange = readLastChange(database)
    serve(port, database, lastChange)
    port.postMessage({ kind: 'open', lastChange } satisfies Opening)
  } catch (error) {
    port.postMessage({
      kind: 'failed',
      refusal: refusalOf(error),
      newer: error instanceof NewerSchema,
    } satisfies Opening)
    port.close()
  }
}

function readLastChange(database: Database): number {
  const sql = 'select coalesce(max(number), 0) as number from changes'
  return Number(database.run({ sql, parameters: [] }).rows[0]?.['number'])
}

function serve(port: MessagePort, database: Database, lastChange: number): void {
  let answers: Answer[] = []
  let changes: readonly ChangeRow[] = []
  const groups = new WriteGroups(
    database,
    lastChange,
    (answer) => answers.push(answer),
    (more) => (changes = [...changes, ...more]),
    () => performance.now(),
  )
  const flush = () => {
    if (answers.length > 0 || changes.length > 0) port.postMessage({ answers, changes } satisfies Reply)
    answers = []
    changes = []
  }
  port.on('message', (first: readonly Command[]) => {
    let commands: readonly Command[] | undefined = first
    while (commands !== undefined) {
      for (const command of commands) perform(port, database, groups, command, (answer) => answers.push(answer))
      flush()
      commands = receiveMessageOnPort(port)?.message as readonly Command[] | undefined
    }
    groups.settle()
    flush()
  })
}

function perform(
  port: MessagePort,
  database: Database,
  groups: WriteGroups,
  command: Command,
  answer: (answer: Answer) => void,
): void {
  switch (command.kind) {
    case 'run':
      return groups.run(command)
    case 'end':
      return groups.end(command)
    case 'read':
      return answer(read(database, command))
    case 'close':
      groups.settle()
      database.close()
      answer({ id: command.id, result: { rows: [], changes: 0 } })
      // The port closes once the answer is on its way.
      setImmediate(() => port.close())
  }
}

function read(database: Database, { id, statement }: Command & { readonly kind: 'read' }): Answer {
  try {
    return { id, result: database.run(statement) }
  } catch (error) {
    return { id, refusal: refusalOf(error) }
  }
}
