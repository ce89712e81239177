#!/usr/bin/perl
# Passes the lines of the log on, from stdin to stdout, and never waits long: nginx writes its log between two requests,
# and would answer nobody while whoever is to take a line does not. Lines that find no room are dropped, and counted.
# usage: nginx -g 'daemon off;' | relay.pl
use strict;
use warnings;
use Fcntl;

# Bytes that may wait.
my $room = 1 << 20;
# Lines that come within these seconds of each other are passed on together: to be woken costs more than to read.
my $gather = 0.01;
# For as much as may come meanwhile; where that is too much for the machine, nginx waits a little.
fcntl(STDIN, Fcntl::F_SETPIPE_SZ(), $room);

# stderr is one with nginx's, which goes without a line of its own that is not taken.
for my $out (*STDOUT, *STDERR) {
    fcntl($out, F_SETFL, fcntl($out, F_GETFL, 0) | O_NONBLOCK) or die "relay.pl: $!";
}

my ($begun, $waiting, $lost, $end) = ('', '', 0, 0);
# In the end, what still waits has a second to be taken.
until ($end && ($waiting eq '' || time > $end)) {
    vec(my $readable = '', fileno STDIN, 1) = !$end;
    vec(my $writable = '', fileno STDOUT, 1) = $waiting ne '';
    select($readable, $writable, undef, $end ? 1 : undef) > 0 or next;
    if (vec($readable, fileno STDIN, 1)) {
        select(undef, undef, undef, $gather);
        $end = time + 1 if !sysread(STDIN, $begun, $room, length $begun);
        my $lines = substr($begun, 0, $end ? length $begun : 1 + rindex($begun, "\n"), '');
        if (length($waiting) + length($lines) > $room) { $lost += $lines =~ tr/\n// }
        else { $waiting .= $lines }
    }
    if (vec($writable, fileno STDOUT, 1)) {
        my $written = syswrite(STDOUT, $waiting) // 0;
        substr($waiting, 0, $written) = '';
        if ($lost && $written) {
            $waiting .= qq({"level":"WARN","message":"$lost lines of the log could not be written, and are lost"}\n);
            $lost = 0;
        }
    }
}
