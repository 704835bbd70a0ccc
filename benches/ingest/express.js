// What a receiver in Express does at the least: parse, verify the HMAC over the body, answer. It keeps nothing.
const crypto = require('crypto');
const express = require('express');

const app = express();
app.use(express.json());

app.post('/webhooks/jewelmusic', (req, res) => {
  const expected =
    'sha256=' + crypto.createHmac('sha256', process.env.JEWELMUSIC_SECRET).update(JSON.stringify(req.body)).digest('hex');
  const given = req.headers['x-jewelmusic-signature'] || '';
  if (given.length !== expected.length || !crypto.timingSafeEqual(Buffer.from(given), Buffer.from(expected))) {
    return res.status(401).json({ error: 'Invalid signature' });
  }
  res.json({ received: true });
});

app.listen(Number(process.env.PORT), '127.0.0.1');
