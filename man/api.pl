#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Expands a page of a group of calls of the library: what a page says of a function is what its
# comment in the source says, which the introspection data is made of too.
#
#   api.pl LIB PAGE.api     POD on standard output
#   api.pl --names LIB      every function that a page would have, one a line
#
# A page is POD; the line "=for api NAME" stands for the types, functions and signals that
# LIB/xendomstore/NAME.h declares, in its order, and "=for names NAME" for their names, for the head.

use strict;
use warnings;

sub slurp
{
  my ($file) = @_;
  open my $in, '<', $file or die "api.pl: cannot read $file: $!\n";
  local $/;
  return <$in>;
}

# The comments of all files: name => [ [ [parameter, annotations, text]... ], text, returns ].
sub comments
{
  my ($lib) = @_;
  my %of;

  for my $file (glob ("$lib/*.c"), glob ("$lib/xendomstore/*.h")) {
    my $source = slurp ($file);
    while ($source =~ m{^[ ]*/\*\*\n(.*?)^[ ]*\*/}gms) {
      my @lines = map { s/^\s*\* ?//r } split /\n/, $1;
      my $name = shift @lines;
      $name =~ s/:\s*$// or die "api.pl: $file: \"$name\" begins no comment\n";
      $of{$name} = parse (@lines);
    }
  }
  return \%of;
}

sub parse
{
  my (@params, $text, $returns, $into);

  $text = $returns = '';
  for (@_) {
    if (/^\@(\w+):\s*((?:\([^)]*\)\s*)*):?\s*(.*)/ && $text eq '') {
      push @params, [$1, $2, $3];
      $into = \$params[-1][2];
    } elsif (/^Returns:\s*((?:\([^)]*\)\s*)*):?\s*(.*)/) {
      $returns = ownership ($1) . $2;
      $into = \$returns;
    } elsif (/^\s*$/) {
      $text .= "\n\n" if $text ne '' && $returns eq '';
      $into = \$text unless $returns ne '';
    } else {
      # Annotations may go on in the next line of a parameter.
      if (@params && $into == \$params[-1][2] && $params[-1][2] eq '' && /^\s*((?:\([^)]*\)\s*)+):?\s*(.*)/) {
        $params[-1][1] .= $1;
        $params[-1][2] = $2;
      } else {
        $$into .= ($$into eq '' || $$into =~ /\n$/ ? '' : ' ') . s/^\s+//r;
      }
    }
  }
  return [\@params, $text, $returns];
}

# What a caller has to know of the annotations.
sub ownership
{
  my ($annotations, $is_input) = @_;
  my @words;

  push @words, 'output' if $annotations =~ /\(out\)/;
  push @words, 'may be NULL' if $annotations =~ /\((nullable|optional)\)/;
  push @words, $is_input ? 'taken over' : 'yours to free'
    if $annotations =~ /\(transfer (full|container)\)/;
  push @words, 'not yours to free' if $annotations =~ /\(transfer none\)/;
  push @words, "$1 elements" if $annotations =~ /\(array length=(\w+)\)/;
  return @words ? '(' . join (', ', @words) . ') ' : '';
}

# From the marks of GTK-Doc to POD.
sub pod
{
  my ($text) = @_;

  $text =~ s/</E<lt>/g;
  $text =~ s/`([^`]*)`/C<$1>/g;
  $text =~ s/%(\w+)/C<$1>/g;
  $text =~ s/\@(\w+)/I<$1>/g;
  $text =~ s/#(Xds\w+(?:::[\w-]+)?)/B<$1>/g;
  return $text;
}

# The declarations of a header, in its order: [name, text].
sub declarations
{
  my ($file) = @_;
  my $source = slurp ($file);
  my @found;

  while ($source =~ m{^(?:/\*\*\n\ \*\ (Xds\w+|XDS_\w+):$
                      |G_DECLARE_FINAL_TYPE\ \((Xds\w+),
                      |([A-Za-z][\w\ \*]*?\b(xds_\w+)\ \([^;]*\)(?:\ G_GNUC_CONST)?;))}gmx) {
    push @found, [$1 // $2, ''] if defined $1 || defined $2;
    push @found, [$4, $3] if defined $4 && $4 !~ /_get_type$/;
  }
  return @found;
}

sub describe
{
  my ($name, $prototype, $comment) = @_;
  my ($params, $text, $returns) = @$comment;

  print "=head2 $name\n\n";
  print map ("    $_\n", split /\n/, $prototype), "\n" if $prototype ne '';
  print pod ($text), "\n\n" if $text ne '';
  if (@$params) {
    print "=over\n\n";
    print "=item I<$$_[0]>\n\n", pod (ownership ($$_[1], $$_[1] !~ /\(out\)/) . $$_[2]), "\n\n" for @$params;
    print "=back\n\n";
  }
  print "Returns ", pod ($returns), ".\n\n" if $returns ne '';
}

sub expand
{
  my ($lib, $header, $comments) = @_;

  for (declarations ("$lib/xendomstore/$header.h")) {
    my ($name, $prototype) = @$_;
    next if $name eq 'xds_error_quark';
    die "api.pl: $name has no comment\n" unless $$comments{$name};
    describe ($name, $prototype, $$comments{$name});
    describe ($_, '', $$comments{$_}) for sort grep { /^\Q$name\E::/ } keys %$comments;
  }
}

if (@ARGV == 2 && $ARGV[0] eq '--names') {
  for my $header (glob ("$ARGV[1]/xendomstore/*.h")) {
    print "$$_[0]\n" for grep { $$_[0] =~ /^xds_/ } declarations ($header);
  }
  exit 0;
}
die "usage: api.pl LIB PAGE.api | api.pl --names LIB\n" unless @ARGV == 2;
my ($lib, $page) = @ARGV;
my $comments = comments ($lib);
for (split /^/, slurp ($page)) {
  if (/^=for api (\w+)$/) {
    expand ($lib, $1, $comments);
  } elsif (/^=for names (\w+)(.*)$/) {
    print join (', ', grep { /^xds_/ } map { $$_[0] } declarations ("$lib/xendomstore/$1.h")), "$2\n";
  } else {
    print;
  }
}
