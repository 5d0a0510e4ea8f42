// Checks the unit `@module` with @count vectors of @file:
// @claim.
// Written by fpemu @version.  Plain Verilog-2001, for Icarus Verilog 11 and other simulators:
//
//     iverilog -Wall -o bench.vvp @bench UNIT.v && vvp bench.vvp
//
// If UNIT.v has a `timescale, add -DTIMESCALE: a clock's half period is then a nanosecond.  The exit status is 0 if all
// results are right, else 1.  Arguments of the simulation:
//
//     +vectors=FILE   the file of vectors, if it is not @file in the current folder
//     +answers=FILE   write the unit's results, as TestFloat's lines, for `fpemu audit --recorded FILE`
//     +latency=N      clock cycles from operands to result
//     +interval=N     clock cycles from operands to the next operands: 1 for a pipeline
//     +exact_nan      compare the codes of NaN; without it, any NaN equals any other

`ifdef TIMESCALE
`timescale 1ns / 1ps
`endif

module bench;
    parameter HALF_PERIOD = 1;  // of the clock; a unit without a clock has two to settle

    localparam VECTORS = @count;
    localparam VECTOR_BITS = @vector_bits;  // of {@vector}
    localparam WORD_BITS = @word_bits;
    localparam IN_WORD = WORD_BITS / VECTOR_BITS;
    localparam WORDS = (VECTORS + IN_WORD - 1) / IN_WORD;
    localparam RESULT_BITS = @result_bits;
    localparam COMPARE_FLAGS = @compare_flags;
    localparam SHOWN = 10;  // the number of differences that are printed
    // The last line of the file of vectors
    localparam SEAL = "@seal\n";

    // -- the unit, and the vector for its outputs -----------------------------------------------------------------------

@declarations
    wire [RESULT_BITS-1:0] result;
@flags
    reg [RESULT_BITS-1:0] right_result;
    reg [4:0] right_flags;
    reg clk;

    @module unit_under_test (
@connections
    );

    // -- vectors -------------------------------------------------------------------------------------------------------

    reg [WORD_BITS-1:0] words [0:WORDS-1];
    reg [8*1024-1:0] name;
    reg [8*128-1:0] line;
    integer file, answers;
    reg ready;

    // If a word has several vectors, the first has the lowest bits
    function [VECTOR_BITS-1:0] vector;
        input integer which;
        vector = words[which / IN_WORD][(which % IN_WORD) * VECTOR_BITS +: VECTOR_BITS];
    endfunction

    function is_nan;
        input [RESULT_BITS-1:0] code;
        is_nan = @is_nan;
    endfunction

    task read_vectors;
        begin
            if (!$value$plusargs("vectors=%s", name)) name = @file_literal;
            file = $fopen(name, "r");
            line = 0;
            if (file != 0) begin
                if ($fseek(file, -@seal_length, 2) != 0 || $fgets(line, file) == 0) line = 0;
                $fclose(file);
            end
            ready = 0;
            if (file == 0)
                $display("no vectors: cannot read %0s", name);
            else if (line !== SEAL)
                $display("no vectors: %0s is not the file that this bench was written for", name);
            else begin
                $readmemh(name, words);
                ready = 1;
            end
        end
    endtask

    // -- comparison ----------------------------------------------------------------------------------------------------

    integer issued, checked, differences, latency, interval;
    time cycle, next_issue, next_check;
    reg exact_nan, same;

    task check;
        begin
            {@right} = vector(checked);
            // An X or Z in an output equals nothing; in a vector it means that the file has too few words
            same = ^{@right, result, flags} !== 1'bx
                && (result == right_result || (!exact_nan && is_nan(result) && is_nan(right_result)))
                && (!COMPARE_FLAGS || flags == right_flags);
            if (!same) begin
                differences = differences + 1;
                if (differences <= SHOWN) begin
                    $write("vector %0d: @shown: expected %h, got %h", checked, @rights, right_result, result);
                    if (COMPARE_FLAGS) $write("; flags: expected %h, got %h", right_flags, flags);
                    $write("\n");
                end else if (differences == SHOWN + 1)
                    $display("...");
            end
            if (answers != 0) begin
                $fwrite(answers, "@lines %h", @rights, result);
                if (COMPARE_FLAGS) $fwrite(answers, " %h", flags);
                $fwrite(answers, "\n");
            end
        end
    endtask

    // Operands change and outputs are read while the clock is low
    task run;
        begin
            clk = 0;
            issued = 0;
            cycle = 0;
            next_issue = 0;
            next_check = latency;
            while (checked < VECTORS) begin
                if (issued < VECTORS && cycle == next_issue) begin
                    {@issued} = vector(issued)@operands_shift;
                    issued = issued + 1;
                    next_issue = next_issue + interval;
                end
                #HALF_PERIOD;
                if (cycle == next_check) begin
                    check;
                    checked = checked + 1;
                    next_check = next_check + interval;
                end
                clk = 1;
                #HALF_PERIOD;
                clk = 0;
                cycle = cycle + 1;
            end
        end
    endtask

    task told;
        begin
            exact_nan = $test$plusargs("exact_nan") != 0;
            if (!$value$plusargs("latency=%d", latency)) latency = @latency;
            if (!$value$plusargs("interval=%d", interval)) interval = 1;
            if (latency < 0 || interval < 1) begin
                $display("latency must be 0 or more, interval 1 or more");
                ready = 0;
            end
            answers = 0;
            if ($value$plusargs("answers=%s", name)) begin
                answers = $fopen(name, "w");
                if (answers == 0) begin
                    $display("cannot write %0s", name);
                    ready = 0;
                end
            end
        end
    endtask

    initial begin
        checked = 0;
        differences = 0;
        read_vectors;
        told;
        if (ready) run;
        if (answers != 0) $fclose(answers);
        if (checked == VECTORS && differences == 0) begin
            $display("PASS: all %0d vectors", checked);
            $finish;
        end else begin
            if (checked == 0) $display("FAIL: no vectors were run");
            else $display("FAIL: %0d of %0d vectors differ", differences, checked);
`ifdef __ICARUS__
            $finish_and_return(1);
`else
            $fatal(1);
`endif
        end
    end
endmodule
