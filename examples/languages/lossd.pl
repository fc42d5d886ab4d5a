#!/usr/bin/perl
# Post calls to a lossd server from Perl, with core modules alone.
#
# Run: LOSSD_URL=http://127.0.0.1:8000 perl lossd.pl
use strict;
use warnings;
use HTTP::Tiny;
use JSON::PP qw(decode_json encode_json);

my $URL         = $ENV{LOSSD_URL} // 'http://127.0.0.1:8000';
my $SAFETENSORS = 'application/vnd.safetensors';
my $server      = HTTP::Tiny->new;                             # keeps its connection between calls

# JSON: lists in, lists out.
my %call = (input => [1, 2, 5, 2], target => [1.5, 2, 2, 4], delta => 1, gradient => JSON::PP::true);
my $answer = decode_json(post('huber', 'application/json', encode_json(\%call)));
print "huber loss $answer->{loss}{mean}\n";
print "huber gradient @{ $answer->{gradient}{mean}{input} }\n";

# Arrays as the bytes that they are, two rows of four classes; options go into the query string.
my $logits  = pack 'f<*', 0, 0, 0, 0, log(3), 0, 0, 0;
my $classes = pack 'q<*', 2, 0;
my $header  = encode_json(
    {   input  => { dtype => 'F32', shape => [2, 4], data_offsets => [0,  32] },
        target => { dtype => 'I64', shape => [2],    data_offsets => [32, 48] },
    }
);

# safetensors: the header's length, a JSON header, then the arrays one after another.
my $file = post('cross_entropy?gradient=true', $SAFETENSORS, pack('Q<', length $header) . $header . $logits . $classes);
print "cross_entropy loss @{[ floats($file, 'loss.mean') ]}\n";
print "cross_entropy gradient @{[ floats($file, 'gradient.mean.input') ]}\n";

sub post {
    my ($path, $format, $body) = @_;
    my %headers  = ('Content-Type' => $format, Accept => $format);
    my $response = $server->post("$URL/v1/losses/$path", { headers => \%headers, content => $body });

    # A problem as JSON (RFC 9457): `detail` says what was expected, what came, and where. Status 599 is
    # HTTP::Tiny's own, for a server that cannot be reached.
    die "$path: $response->{status}: $response->{content}\n" unless $response->{success};
    return $response->{content};
}

sub floats {
    my ($bytes, $name) = @_;
    my $length = unpack 'Q<', $bytes;
    my ($begin, $end) = @{ decode_json(substr $bytes, 8, $length)->{$name}{data_offsets} };
    return unpack 'f<*', substr $bytes, 8 + $length + $begin, $end - $begin;
}
