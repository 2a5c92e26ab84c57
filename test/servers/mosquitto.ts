import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startServerProgram, type ServerProgram } from './server-program.ts'

/** A real MQTT broker that speaks MQTT over WebSocket (subprotocol `mqtt`) and lets everybody in. */
export function startMosquitto(): Promise<ServerProgram> {
  return startServerProgram({
    name: 'mosquitto',
    command: '/usr/sbin/mosquitto',
    args: async ({ port, folder }) => {
      const config = join(folder, 'mosquitto.conf')
      const lines = [
        // Mosquitto 2.0.11 counts listeners, and WebSocket ones not: it would end for want of any.
        `listener 0 ${join(folder, 'unused')}`,
        `listener ${port} 127.0.0.1`,
        'protocol websockets',
        'allow_anonymous true',
        'persistence false',
        // Started by root it would otherwise change to an account that cannot read this folder.
        ...(process.getuid?.() === 0 ? ['user root'] : []),
      ]
      await writeFile(config, `${lines.join('\n')}\n`)
      return ['-c', config, '-v']
    },
  })
}
