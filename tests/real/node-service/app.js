const Mustache = require('mustache');
const ms = require('ms');
const semver = require('semver');

exports.render = (version) =>
  Mustache.render('{{v}} {{#big}}big{{/big}} {{time}}', {
    v: semver.inc(version, 'minor'),
    big: semver.gt(version, '1.0.0'),
    time: ms('2 days'),
  });
