// A vote in a poll, which Baileys can read and not cast: encrypted under the poll's secret as WhatsApp's own
// apps do it, the counterpart of Baileys' `decryptPollVote`.
import { createHash, randomBytes } from 'node:crypto';
import { aesEncryptGCM, hmacSign, proto } from 'baileys';

const SECRET_OF_VOTES = 'Poll Vote';
/** Bytes of a nonce of AES-GCM. */
const NONCE = 12;

/** The content of a message that votes for these options of a poll that was received. */
export function voteFor(poll, voter, options) {
  const { id, remoteJid, participant } = poll.key;
  const creator = participant || remoteJid;
  const sign = Buffer.concat([Buffer.from(id + creator + voter + SECRET_OF_VOTES), Buffer.of(1)]);
  const secret = hmacSign(poll.message.messageContextInfo.messageSecret, new Uint8Array(32), 'sha256');
  const selectedOptions = options.map((option) => createHash('sha256').update(option).digest());
  const plain = proto.Message.PollVoteMessage.encode({ selectedOptions }).finish();
  const encIv = randomBytes(NONCE);
  const encPayload = aesEncryptGCM(plain, hmacSign(sign, secret, 'sha256'), encIv, Buffer.from(`${id}\0${voter}`));
  return {
    pollUpdateMessage: {
      pollCreationMessageKey: { id, remoteJid, participant, fromMe: false },
      vote: { encPayload, encIv },
      senderTimestampMs: Date.now(),
    },
  };
}
