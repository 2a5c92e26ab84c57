// Goal: words of the gate never make the target send more than the client takes, and answers come in the order of the
// questions, whoever gives them.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Replies } from '../../../src/protocols/ssh/relay/replies.ts'
import { Voice } from '../../../src/protocols/ssh/relay/voice.ts'

test('the target is never told of more room than the client has left, and gets all of it in the end', () => {
  const step = fc.record({
    speak: fc.integer({ min: 0, max: 4096 }),
    send: fc.integer({ min: 0, max: 1 << 16 }),
    giveBack: fc.integer({ min: 0, max: 1 << 16 }),
  })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1 << 21 }), fc.array(step), (windowBytes, steps) => {
      const voice = new Voice(windowBytes)
      let clientTakes = windowBytes
      let targetMaySend = windowBytes - voice.reserveBytes
      let taken = 0
      const give = (bytes: number) => {
        clientTakes += bytes
        targetMaySend += voice.refill(bytes)
      }
      for (const { speak, send, giveBack } of steps) {
        if (voice.speak(speak)) {
          clientTakes -= speak
          taken += speak
        }
        const sent = Math.min(send, targetMaySend)
        targetMaySend -= sent
        clientTakes -= sent
        taken += sent
        expect(clientTakes).toBeGreaterThanOrEqual(targetMaySend)
        // A client gives back what it has taken, and no more.
        const given = Math.min(giveBack, taken)
        taken -= given
        give(given)
        expect(clientTakes).toBeGreaterThanOrEqual(targetMaySend)
      }
      give(taken)
      expect(targetMaySend).toBe(windowBytes - voice.reserveBytes)
    }),
  )
})

test('answers of the far end and of ours come out in the order of the questions', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 50 }), fc.array(fc.boolean()), (questions, order) => {
      const out: number[] = []
      const replies = new Replies((reply) => out.push(reply.readUInt32BE(0)))
      const numbered = (index: number) => {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32BE(index)
        return bytes
      }
      const atFarEnd: number[] = []
      const answerOne = () => {
        const next = atFarEnd.shift()
        if (next !== undefined) expect(replies.arrived(numbered(next))).toBe(true)
      }
      questions.forEach((isPassedOn, index) => {
        if (isPassedOn) {
          replies.passedOn()
          atFarEnd.push(index)
        } else replies.answer(numbered(index))
        if (order[index] === true) answerOne()
      })
      while (atFarEnd.length > 0) answerOne()
      expect(out).toEqual(questions.map((_, index) => index))
      expect(replies.waiting).toBe(0)
      expect(replies.arrived(numbered(0))).toBe(false)
    }),
  )
})
